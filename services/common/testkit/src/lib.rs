//! For tests: a manual clock, temporary stores, wait_until.
