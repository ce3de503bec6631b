//! The gateway: S3 over HTTP in, gRPC to the replicas out; nothing outlives a request.
