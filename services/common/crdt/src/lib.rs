//! Values that merge in any order: last-writer-wins map, two-phase set, counter.
