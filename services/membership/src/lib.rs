//! The membership daemon: who is in the cluster, who is alive, and the layout.
