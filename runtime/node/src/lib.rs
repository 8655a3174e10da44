//! Turns a Pod on paper into a running Pod, and reports what is true.
