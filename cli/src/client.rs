//! The operator's side of `cairn.admin.v1` and `cairn.membership.v1`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use cairn_proto::admin::v1::admin_service_client::AdminServiceClient;
use cairn_proto::admin::v1::{
    AddBucketAliasRequest, AllowBucketRequest, Bucket, BucketQuota, ChangeKeyRequest, CreateBucketRequest,
    CreateKeyRequest, DeleteBucketRequest, DeleteKeyRequest, DenyBucketRequest, EndKeyRotationRequest, Expiry,
    GetBucketRequest, GetKeyRequest, GetStatusRequest, GetStatusResponse, ImportKeyRequest, KeptSecret, Key,
    ListBucketsRequest, ListKeysRequest, ListWorkersRequest, RemoveBucketAliasRequest, RepairUsageRequest,
    ReplicaUsage, RotateKeyRequest, SetBucketQuotaRequest, Worker,
};
use cairn_proto::membership::v1::membership_service_client::MembershipServiceClient;
use cairn_proto::membership::v1::{
    ApplyLayoutRequest, ApplyLayoutResponse, ClusterView, CreateJoinTokenRequest, GetLayoutRequest, GetLayoutResponse,
    GetViewRequest, LayoutChange, PreviewLayoutRequest, PreviewLayoutResponse, RevertLayoutRequest, Role,
    StageLayoutRequest, Step,
};
use cairn_rpc::{ClientCredentials, ClusterSecret, Connector, PeerRole};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

/// No command waits longer for one answer.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// A repair reads all rows of a bucket.
const REPAIR_LIMIT: Duration = Duration::from_secs(660);
const POLL: Duration = Duration::from_millis(10);

/// A cluster's gateways and membership daemons, tried in order until one answers.
pub(crate) struct Client {
    connector: Connector,
    admin: Vec<String>,
    membership: Vec<String>,
}

impl Client {
    /// Signs itself a certificate of role `admin` with the cluster's secret.
    pub(crate) fn with_secret(secret_file: &Path, admin: Vec<String>, membership: Vec<String>) -> Result<Self> {
        let secret = ClusterSecret::load(secret_file)?;
        let connector = ClientCredentials::issue(&secret, PeerRole::Admin)?.connector()?;
        Ok(Self { connector, admin, membership })
    }

    /// A client of one gateway alone: the first that answers.
    pub(crate) async fn pinned(mut self) -> Result<Self> {
        let at = self.first_reachable(&self.admin, "gateway").await?;
        self.admin = vec![self.admin.swap_remove(at)];
        Ok(self)
    }

    /// True where calls may go to the gateway at `address`.
    pub(crate) fn speaks_to(&self, address: &str) -> bool {
        self.admin.iter().any(|known| known == address)
    }

    async fn admin(&self) -> Result<AdminServiceClient<Channel>> {
        let channel = self.first_that_answers(&self.admin, "gateway").await?;
        Ok(AdminServiceClient::new(channel))
    }

    async fn membership(&self) -> Result<MembershipServiceClient<Channel>> {
        let channel = self.first_that_answers(&self.membership, "membership daemon").await?;
        Ok(MembershipServiceClient::new(channel))
    }

    async fn first_that_answers(&self, addresses: &[String], what: &str) -> Result<Channel> {
        let at = self.first_reachable(addresses, what).await?;
        Ok(self.connector.channel(&addresses[at]))
    }

    /// The place of the first address that takes a connection; of the last where none does.
    async fn first_reachable(&self, addresses: &[String], what: &str) -> Result<usize> {
        let (_, others) = addresses.split_last().with_context(|| format!("no address of a {what} is known"))?;
        for (at, address) in others.iter().enumerate() {
            if tokio::time::timeout(CALL_LIMIT, tokio::net::TcpStream::connect(address)).await.is_ok_and(|c| c.is_ok())
            {
                return Ok(at);
            }
        }
        Ok(others.len())
    }

    pub(crate) async fn status(&self) -> Result<GetStatusResponse> {
        answer(self.admin().await?.get_status(limited(GetStatusRequest {})).await)
    }

    /// The key's id and its secret.
    pub(crate) async fn create_key(
        &self,
        name: &str,
        create_bucket: bool,
        expiry: Option<Expiry>,
    ) -> Result<(String, String)> {
        let request = CreateKeyRequest { name: name.to_owned(), create_bucket, expiry };
        let reply = answer(self.admin().await?.create_key(limited(request)).await)?;
        Ok((reply.key.context("the answer names no key")?.access_key, reply.secret_key))
    }

    pub(crate) async fn import_key(&self, request: ImportKeyRequest) -> Result<Key> {
        answer(self.admin().await?.import_key(limited(request)).await)?.key.context("the answer names no key")
    }

    pub(crate) async fn list_keys(&self) -> Result<Vec<Key>> {
        Ok(answer(self.admin().await?.list_keys(limited(ListKeysRequest {})).await)?.keys)
    }

    pub(crate) async fn key(&self, key: &str) -> Result<Key> {
        let request = GetKeyRequest { key: key.to_owned() };
        answer(self.admin().await?.get_key(limited(request)).await)?.key.context("the answer names no key")
    }

    pub(crate) async fn delete_key(&self, key: &str) -> Result<Key> {
        let request = DeleteKeyRequest { key: key.to_owned() };
        answer(self.admin().await?.delete_key(limited(request)).await)?.key.context("the answer names no key")
    }

    pub(crate) async fn change_key(&self, request: ChangeKeyRequest) -> Result<Key> {
        answer(self.admin().await?.change_key(limited(request)).await)?.key.context("the answer names no key")
    }

    /// The key and its new secret. `overlap_ms`: 0 for as long as the rotation lasts.
    pub(crate) async fn rotate_key(&self, key: &str, overlap_ms: u64) -> Result<(Key, String)> {
        let request = RotateKeyRequest { key: key.to_owned(), overlap_ms };
        let reply = answer(self.admin().await?.rotate_key(limited(request)).await)?;
        Ok((reply.key.context("the answer names no key")?, reply.secret_key))
    }

    pub(crate) async fn end_key_rotation(&self, key: &str, kept: KeptSecret) -> Result<Key> {
        let request = EndKeyRotationRequest { key: key.to_owned(), kept: kept.into() };
        answer(self.admin().await?.end_key_rotation(limited(request)).await)?.key.context("the answer names no key")
    }

    pub(crate) async fn create_bucket(&self, name: &str, owner_key: &str) -> Result<Bucket> {
        let request = CreateBucketRequest { name: name.to_owned(), owner_key: owner_key.to_owned() };
        answer(self.admin().await?.create_bucket(limited(request)).await)?.bucket.context("the answer names no bucket")
    }

    pub(crate) async fn list_workers(&self) -> Result<Vec<Worker>> {
        Ok(answer(self.admin().await?.list_workers(limited(ListWorkersRequest {})).await)?.workers)
    }

    pub(crate) async fn list_buckets(&self) -> Result<Vec<Bucket>> {
        Ok(answer(self.admin().await?.list_buckets(limited(ListBucketsRequest {})).await)?.buckets)
    }

    pub(crate) async fn bucket(&self, name: &str) -> Result<Bucket> {
        let request = GetBucketRequest { name: name.to_owned() };
        answer(self.admin().await?.get_bucket(limited(request)).await)?.bucket.context("the answer names no bucket")
    }

    pub(crate) async fn delete_bucket(&self, name: &str) -> Result<()> {
        let request = DeleteBucketRequest { name: name.to_owned() };
        answer(self.admin().await?.delete_bucket(limited(request)).await).map(drop)
    }

    pub(crate) async fn allow(&self, request: AllowBucketRequest) -> Result<Bucket> {
        answer(self.admin().await?.allow_bucket(limited(request)).await)?.bucket.context("the answer names no bucket")
    }

    pub(crate) async fn deny(&self, request: DenyBucketRequest) -> Result<Bucket> {
        answer(self.admin().await?.deny_bucket(limited(request)).await)?.bucket.context("the answer names no bucket")
    }

    pub(crate) async fn set_quota(&self, bucket: &str, quota: BucketQuota) -> Result<Bucket> {
        let request = SetBucketQuotaRequest { bucket: bucket.to_owned(), quota: Some(quota) };
        let reply = answer(self.admin().await?.set_bucket_quota(limited(request)).await)?;
        reply.bucket.context("the answer names no bucket")
    }

    pub(crate) async fn repair_usage(&self, bucket: &str) -> Result<Vec<ReplicaUsage>> {
        let mut request = tonic::Request::new(RepairUsageRequest { bucket: bucket.to_owned() });
        request.set_timeout(REPAIR_LIMIT);
        Ok(answer(self.admin().await?.repair_usage(request).await)?.replicas)
    }

    pub(crate) async fn add_alias(&self, bucket: &str, alias: &str) -> Result<Bucket> {
        let request = AddBucketAliasRequest { bucket: bucket.to_owned(), alias: alias.to_owned() };
        let reply = answer(self.admin().await?.add_bucket_alias(limited(request)).await)?;
        reply.bucket.context("the answer names no bucket")
    }

    pub(crate) async fn remove_alias(&self, bucket: &str, alias: &str) -> Result<Bucket> {
        let request = RemoveBucketAliasRequest { bucket: bucket.to_owned(), alias: alias.to_owned() };
        let reply = answer(self.admin().await?.remove_bucket_alias(limited(request)).await)?;
        reply.bucket.context("the answer names no bucket")
    }

    pub(crate) async fn create_join_token(&self) -> Result<String> {
        let request = CreateJoinTokenRequest { valid_ms: 0 };
        Ok(answer(self.membership().await?.create_join_token(limited(request)).await)?.token)
    }

    pub(crate) async fn view(&self) -> Result<ClusterView> {
        let reply = answer(self.membership().await?.get_view(limited(GetViewRequest {})).await)?;
        reply.view.context("the answer holds no view")
    }

    pub(crate) async fn layout(&self) -> Result<GetLayoutResponse> {
        answer(self.membership().await?.get_layout(limited(GetLayoutRequest {})).await)
    }

    pub(crate) async fn stage(&self, changes: Vec<LayoutChange>) -> Result<()> {
        let request = StageLayoutRequest { changes };
        answer(self.membership().await?.stage_layout(limited(request)).await).map(drop)
    }

    pub(crate) async fn revert(&self) -> Result<()> {
        answer(self.membership().await?.revert_layout(limited(RevertLayoutRequest {})).await).map(drop)
    }

    pub(crate) async fn preview(&self) -> Result<PreviewLayoutResponse> {
        answer(self.membership().await?.preview_layout(limited(PreviewLayoutRequest {})).await)
    }

    pub(crate) async fn apply(&self, expected_number: u64, all_waiting: bool) -> Result<ApplyLayoutResponse> {
        let request = ApplyLayoutRequest { expected_number, all_waiting };
        answer(self.membership().await?.apply_layout(limited(request)).await)
    }

    /// Applies the first layout once `storage` table and block stores are heard of; does nothing where there is one.
    pub(crate) async fn apply_when_waiting(&self, storage: usize, until: Instant) -> Result<()> {
        loop {
            let view = self.view().await;
            if let Ok(view) = &view {
                if view.record.as_ref().is_some_and(|record| record.step() != Step::Empty) {
                    return Ok(());
                }
                let heard = view.nodes.iter().filter(|node| node.alive && is_storage(node.record.as_ref())).count();
                if heard >= storage {
                    return self.apply(0, true).await.map(drop);
                }
            }
            if Instant::now() > until {
                view?;
                bail!("not all nodes reported to the membership daemon in time");
            }
            sleep(POLL).await;
        }
    }
}

fn is_storage(record: Option<&cairn_proto::membership::v1::NodeRecord>) -> bool {
    record.is_some_and(|record| !record.removed && matches!(record.role(), Role::Table | Role::Block))
}

fn limited<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_LIMIT);
    request
}

/// The message, or what a person needs to read of the failure.
fn answer<T>(reply: Result<Response<T>, Status>) -> Result<T> {
    match reply {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => {
            ensure!(status.code() != Code::Unavailable || !status.message().is_empty(), "the cluster does not answer");
            bail!("{}", status.message())
        }
    }
}
