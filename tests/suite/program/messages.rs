//! What the program says when something is wrong.
