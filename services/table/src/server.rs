//! Wiring: the store as a role of a process.

use std::sync::Arc;

use anyhow::Context as _;
use cairn_daemon::{Hosted, Shutdown};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tonic::service::RoutesBuilder;

use crate::Table;
use crate::grpc::Service;

impl Hosted for Table {
    fn service_names(&self) -> &'static [&'static str] {
        &["cairn.table.v1.TableService"]
    }

    fn add_routes(self: Arc<Self>, mut routes: RoutesBuilder) -> RoutesBuilder {
        routes.add_service(Service::server(self));
        routes
    }

    fn run(self: Arc<Self>, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>> {
        async move {
            self.follow_views(&shutdown).await;
            self.close().await.context("closing the table")
        }
        .boxed()
    }
}

impl Table {
    /// Adopts every newer layout the process hears of, so that a quiet store does not stay behind.
    async fn follow_views(&self, shutdown: &Shutdown) {
        let mut views = self.views().subscribe();
        views.mark_changed();
        loop {
            tokio::select! {
                () = shutdown.begun() => return,
                changed = views.changed() => {
                    if changed.is_err() {
                        return shutdown.begun().await;
                    }
                }
            }
            if let Err(error) = self.adopt_current().await {
                tracing::warn!(%error, "cannot adopt the newest layout");
            }
        }
    }
}
