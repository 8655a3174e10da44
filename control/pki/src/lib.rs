//! Makes the cluster's keys and certificates.
