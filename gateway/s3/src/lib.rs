//! The S3 wire format, without I/O: requests, signatures, chunks, XML and errors.
