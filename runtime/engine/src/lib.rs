//! Runs one component, meters it, stops it.
