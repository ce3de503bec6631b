//! The parts every process of a cluster has: secret, view, identity, listener.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use cairn_placement::{ClusterView, LayoutRecord, Step};
use cairn_rpc::{ClusterSecret, Identity, PeerRole, ViewCell};
use cairn_types::{Clock, ClusterId, Epoch, NodeName, OpId, StoreId, ZoneName};
use tokio::net::TcpListener;

use crate::{Host, Machine, NodeConfig, NodeSource, Shutdown, Watch, load_view, watch};

/// A process that knows its cluster but does not serve yet.
pub struct Node {
    pub config: NodeConfig,
    pub name: NodeName,
    pub zone: ZoneName,
    pub machine: Machine,
    pub secret: ClusterSecret,
    /// The cached view, or an empty one: record 0, no layout.
    pub view: Arc<ViewCell>,
}

impl Node {
    /// # Errors
    /// A name is malformed, the configuration directory cannot be used, or there is no usable secret.
    pub fn open(config: NodeConfig) -> anyhow::Result<Self> {
        let name = config.name.parse().context("node.name")?;
        let zone = config.zone.parse().context("node.zone")?;
        let machine = Machine::open(&config.config_dir, config.secret_file.as_deref())?;
        let secret = machine.secret()?;
        let cluster = secret.cluster_id();
        let cached = load_view(&machine.view_file()).filter(|view| view.cluster == cluster);
        let view = Arc::new(ViewCell::new(cached.unwrap_or_else(|| empty_view(cluster))));
        Ok(Self { config, name, zone, machine, secret, view })
    }

    /// Binds the listener under a certificate for `roles`; answers it with the address to advertise.
    ///
    /// # Errors
    /// The address is taken, or cannot stand in a certificate.
    pub async fn host(&self, roles: &[(PeerRole, Option<StoreId>)]) -> anyhow::Result<(Host, Identity, String)> {
        let listen = &self.config.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let bound = listener.local_addr().context("the listener has no address")?;
        let advertised = advertised(&self.config, bound);
        let identity = Identity::derive(&self.secret, roles, std::slice::from_ref(&advertised))?;
        Ok((Host::from_listener(listener, identity.clone())?, identity, advertised))
    }

    /// Watches membership for `nodes` until `shutdown`, as one of its tasks.
    pub fn watch(&self, identity: &Identity, nodes: Vec<NodeSource>, clock: Arc<dyn Clock>, shutdown: &Shutdown) {
        let watch = Watch {
            addresses: self.config.membership.clone(),
            connector: identity.connector(),
            view: self.view.clone(),
            nodes,
            cache: Some(self.machine.view_file()),
            clock,
        };
        shutdown.spawn(watch::run(watch, shutdown.clone()));
    }
}

/// What is known before anything is: record 0, epoch 0, nobody.
#[must_use]
pub fn empty_view(cluster: ClusterId) -> ClusterView {
    let record = LayoutRecord {
        number: 0,
        epoch: Epoch(0),
        step: Step::Empty,
        layouts: vec![],
        voters: vec![],
        op: OpId::default(),
    };
    ClusterView { cluster, record, nodes: Default::default(), revision: 0 }
}

/// Where others reach a process: as configured, with the chosen port for port 0, or the address it is bound to.
fn advertised(config: &NodeConfig, bound: SocketAddr) -> String {
    match &config.advertise {
        Some(address) => match address.strip_suffix(":0") {
            Some(host) => format!("{host}:{}", bound.port()),
            None => address.clone(),
        },
        None => bound.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_ports_are_advertised() {
        let mut config: NodeConfig = toml::from_str("name='a'\nzone='b'\nconfig_dir='/c'").unwrap();
        let bound = "127.0.0.1:81".parse().unwrap();
        for (advertise, expected) in
            [(None, "127.0.0.1:81"), (Some("host:80"), "host:80"), (Some("[::1]:0"), "[::1]:81")]
        {
            config.advertise = advertise.map(str::to_owned);
            assert_eq!(advertised(&config, bound), expected);
        }
    }
}
