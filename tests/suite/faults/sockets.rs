//! Faults of real connections, as the operating system and the HTTP client report them.
