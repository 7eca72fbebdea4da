//! What happens, and what can be read of it afterwards.
