//! What every daemon shares: configuration, identity on disk, tracing, the view it watches, shutdown.
