//! What a dev cluster looks like: its nodes, processes and ports, chosen once and kept in `dev.json`.

use std::fs;
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use cairn_types::{Entropy as _, SystemEntropy};
use serde::{Deserialize, Serialize};

use crate::ready;

/// The roles of a node, in the order their processes start.
const ROLES: [&str; 4] = ["membership", "table", "block", "gateway"];
/// More nodes than this on one machine show nothing new.
const MAX_NODES: usize = 9;
/// Where ports are chosen from.
const PORTS: Range<u16> = 20_000..32_000;
const PORT_TRIES: usize = 1_000;

/// The cluster a data directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Of this file; 1.
    version: u32,
    pub(crate) split: bool,
    pub(crate) processes: Vec<Process>,
    /// Made after the first start.
    pub(crate) credentials: Option<Credentials>,
}

/// One `cairn server`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) node: String,
    pub(crate) zone: String,
    pub(crate) roles: Vec<String>,
    /// host:port of its gRPC listener.
    pub(crate) grpc: String,
    /// host:port of its S3 listener, where it is a gateway.
    pub(crate) s3: Option<String>,
    /// host:port of its listener for web sites, where it is a gateway.
    #[serde(default)]
    pub(crate) web: Option<String>,
}

/// The key and the bucket that `cairn dev` makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) bucket: String,
}

impl Process {
    pub(crate) fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|mine| mine == role)
    }

    /// Everything it listens on.
    fn addresses(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.grpc).chain(&self.s3).chain(&self.web)
    }

    /// Its directory inside the data directory: `node1`, or `node1/table` where each role has a process.
    pub(crate) fn dir(&self, data_dir: &Path) -> PathBuf {
        let node = data_dir.join(&self.node);
        match self.roles.as_slice() {
            [role] => node.join(format!("{role}-process")),
            _ => node,
        }
    }
}

impl Plan {
    /// The plan kept in `data_dir`, or a new one. A directory that holds another cluster is refused.
    pub(crate) fn load_or_create(data_dir: &Path, nodes: Option<usize>, split: bool) -> Result<Self> {
        let path = data_dir.join("dev.json");
        if !path.exists() {
            let plan = Self::new(nodes.unwrap_or(1), split)?;
            plan.save(data_dir)?;
            return Ok(plan);
        }
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut plan: Self = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
        ensure!(plan.version == 1, "{} was written by another version of cairn", path.display());
        let here = plan.nodes();
        if let Some(wanted) = nodes.filter(|wanted| *wanted != here) {
            bail!(
                "{} holds a cluster of {here} node(s), not {wanted}: leave out --nodes, or choose another --data-dir",
                data_dir.display()
            );
        }
        ensure!(
            !split || plan.split,
            "{} holds a cluster with one process a node: leave out --split, or choose another --data-dir",
            data_dir.display()
        );
        if plan.add_web_ports()? {
            plan.save(data_dir)?;
        }
        Ok(plan)
    }

    /// Plans of before there were web sites have no ports for them. True: some were added.
    fn add_web_ports(&mut self) -> Result<bool> {
        let mut ports = Ports::default();
        let mut added = false;
        for process in self.processes.iter_mut().filter(|process| process.has("gateway") && process.web.is_none()) {
            process.web = Some(ports.choose()?);
            added = true;
        }
        Ok(added)
    }

    fn new(nodes: usize, split: bool) -> Result<Self> {
        ensure!((1..=MAX_NODES).contains(&nodes), "--nodes must be 1 to {MAX_NODES}");
        let mut ports = Ports::default();
        let mut processes = Vec::new();
        for number in 1..=nodes {
            let roles: Vec<Vec<String>> = if split {
                ROLES.iter().map(|role| vec![(*role).to_owned()]).collect()
            } else {
                vec![ROLES.iter().map(|role| (*role).to_owned()).collect()]
            };
            for roles in roles {
                let gateway = roles.iter().any(|role| role == "gateway");
                processes.push(Process {
                    node: format!("node{number}"),
                    zone: format!("zone{number}"),
                    grpc: ports.choose()?,
                    s3: if gateway { Some(ports.choose()?) } else { None },
                    web: if gateway { Some(ports.choose()?) } else { None },
                    roles,
                });
            }
        }
        Ok(Self { version: 1, split, processes, credentials: None })
    }

    pub(crate) fn save(&self, data_dir: &Path) -> Result<()> {
        let path = data_dir.join("dev.json");
        ready::write(&path, self).with_context(|| format!("writing {}", path.display()))
    }

    pub(crate) fn nodes(&self) -> usize {
        self.processes.iter().filter(|process| process.has("membership")).count()
    }

    /// The membership daemons, for everyone's configuration.
    pub(crate) fn peers(&self) -> Vec<String> {
        self.processes.iter().filter(|process| process.has("membership")).map(|process| process.grpc.clone()).collect()
    }

    /// Says which port is taken, before anything starts.
    pub(crate) fn check_ports(&self, data_dir: &Path) -> Result<()> {
        for address in self.processes.iter().flat_map(Process::addresses) {
            TcpListener::bind(address).with_context(|| {
                format!(
                    "{address}, which this cluster has used since it was made, is taken by another program; \
                     stop that, or change the port in {}",
                    data_dir.join("dev.json").display()
                )
            })?;
        }
        Ok(())
    }
}

/// Ports that were free a moment ago, all different: each stays bound until all are chosen.
#[derive(Default)]
struct Ports(Vec<TcpListener>);

impl Ports {
    /// A free port below those the system gives to outgoing connections, one of which might else sit on it when the
    /// process that was promised it starts.
    fn choose(&mut self) -> Result<String> {
        for _ in 0..PORT_TRIES {
            let port = PORTS.start + u16::try_from(SystemEntropy.next_u64() % PORTS.len() as u64)?;
            let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) else { continue };
            let address = listener.local_addr()?.to_string();
            self.0.push(listener);
            return Ok(address);
        }
        bail!("no free port on 127.0.0.1 from {} to {}", PORTS.start, PORTS.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_is_kept_and_another_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let made = Plan::load_or_create(dir.path(), Some(3), false).unwrap();
        assert_eq!(made.nodes(), 3);
        assert_eq!(Plan::load_or_create(dir.path(), None, false).unwrap(), made);
        assert!(Plan::load_or_create(dir.path(), Some(1), false).is_err());
        assert!(Plan::load_or_create(dir.path(), None, true).is_err());
    }

    #[test]
    fn plans_of_before_web_sites_get_their_ports() {
        let dir = tempfile::tempdir().unwrap();
        let mut old = Plan::new(1, false).unwrap();
        old.processes[0].web = None;
        old.save(dir.path()).unwrap();
        let loaded = Plan::load_or_create(dir.path(), None, false).unwrap();
        assert!(loaded.processes[0].web.is_some());
        assert_eq!(Plan::load_or_create(dir.path(), None, false).unwrap(), loaded, "and keep them");
    }

    #[test]
    fn ports_are_distinct() {
        let plan = Plan::new(3, true).unwrap();
        let mut all: Vec<_> = plan.processes.iter().flat_map(Process::addresses).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!((all.len(), count), (18, 18));
        assert_eq!(plan.peers().len(), 3);
    }

    #[test]
    fn taken_port_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan::new(1, false).unwrap();
        let _taken = TcpListener::bind(&plan.processes[0].grpc).unwrap();
        let message = format!("{:#}", plan.check_ports(dir.path()).unwrap_err());
        assert!(message.contains(&plan.processes[0].grpc), "{message}");
    }
}
