//! The block-storage daemon: immutable blocks in segments, and their references.
