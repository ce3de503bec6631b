//! `cairn.admin.v1` on the wire. Decides nothing; certificates were checked before (`cairn_rpc`'s table of rights).

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_model::keys;
use cairn_model::rows::{Grant, Phase, Quota, Rights};
use cairn_model::view::encode_view;
use cairn_proto::admin::v1;
use cairn_proto::admin::v1::admin_service_server::AdminService;
use cairn_quorum::{Op, Recount, Traffic};
use cairn_rpc::CallError;
use cairn_types::RequestId;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use tonic::{Request, Response, Status};

use super::grants::Change;
use super::keys::{Expiry, Kept, KeyInfo, Wish};
use super::{AdminError, Recounted, WorkerInfo, status};
use crate::core::Core;
use crate::directory::Bucket;

/// Buckets whose usage is asked for at a time.
const IN_FLIGHT: usize = 16;

type Answer<T> = Result<Response<T>, Status>;

/// The service.
pub(crate) struct Admin {
    core: Arc<Core>,
}

impl From<AdminError> for Status {
    fn from(error: AdminError) -> Self {
        let text = error.to_string();
        Status::from(match error {
            AdminError::NotFound(_) => CallError::NotFound(text),
            AdminError::Invalid(_) => CallError::Invalid(text),
            AdminError::Conflict(_) => CallError::Conflict(text),
            AdminError::Failed(failure) => {
                tracing::warn!(error = %failure.error, cause = failure.cause, "an operator's request failed");
                match failure.error.code().status() {
                    StatusCode::SERVICE_UNAVAILABLE => CallError::Unavailable(failure.error.message().to_owned()),
                    _ => CallError::Internal(text),
                }
            }
        })
    }
}

impl Admin {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    fn op(&self) -> Op {
        self.core.begin(RequestId::random(self.core.entropy.as_ref()))
    }

    /// Keys' names by their ids, to show grants with.
    async fn names(&self, op: &Op) -> Result<BTreeMap<String, String>, AdminError> {
        Ok(self.core.list_keys(op).await?.into_iter().map(|key| (key.id, key.row.name)).collect())
    }

    async fn describe_key(&self, op: &Op, key: &KeyInfo) -> Result<v1::Key, AdminError> {
        Ok(show_key(key, &self.core.list_buckets(op).await?))
    }

    async fn describe(&self, op: &Op, mut bucket: Bucket) -> Result<v1::Bucket, AdminError> {
        bucket.row.aliases = self.core.aliases(op, &bucket).await?.into_iter().collect();
        let names = self.names(op).await?;
        let usage = self.core.usage(op, &bucket).await?;
        Ok(show_bucket(&bucket, &names, usage))
    }
}

fn show_rights(rights: Rights) -> v1::Rights {
    v1::Rights { read: rights.read, write: rights.write, owner: rights.owner }
}

fn read_rights(rights: Option<v1::Rights>) -> Rights {
    let rights = rights.unwrap_or_default();
    Rights { read: rights.read, write: rights.write, owner: rights.owner }
}

fn show_prefixes(grant: &Grant) -> Vec<v1::PrefixRights> {
    let show = |(prefix, rights): (&String, &Rights)| v1::PrefixRights {
        prefix: prefix.clone(),
        rights: Some(show_rights(*rights)),
    };
    grant.within.iter().map(show).collect()
}

/// `absent`: what is meant where nothing is said.
fn read_expiry<T: From<Expiry>>(expiry: Option<v1::Expiry>, absent: T) -> T {
    use v1::expiry::When;
    match expiry.and_then(|expiry| expiry.when) {
        None => absent,
        Some(When::Never(_)) => Expiry::Never.into(),
        Some(When::InMs(ms)) => Expiry::In(ms).into(),
        Some(When::AtMs(ms)) => Expiry::At(ms).into(),
    }
}

fn show_key(key: &KeyInfo, buckets: &[Bucket]) -> v1::Key {
    let grant = |bucket: &Bucket| {
        let grant = bucket.grant(&key.id)?;
        Some(v1::KeyGrant {
            bucket: bucket.name.to_string(),
            rights: Some(show_rights(grant.whole)),
            prefixes: show_prefixes(grant),
        })
    };
    let rotation =
        key.row.previous.as_ref().map(|previous| v1::KeyRotation { previous_until_ms: previous.until_ms.unwrap_or(0) });
    v1::Key {
        access_key: key.id.clone(),
        name: key.row.name.clone(),
        create_bucket: key.row.create_bucket,
        created_at_ms: key.row.created_at_ms,
        grants: buckets.iter().filter_map(grant).collect(),
        expires_at_ms: key.row.expires_at_ms.unwrap_or(0),
        rotation,
    }
}

fn show_bucket(bucket: &Bucket, names: &BTreeMap<String, String>, (objects, bytes): (u64, u64)) -> v1::Bucket {
    let grants = bucket.row.grants.iter().map(|(access_key, grant)| v1::BucketGrant {
        access_key: access_key.clone(),
        key_name: names.get(access_key).cloned().unwrap_or_default(),
        rights: Some(show_rights(grant.whole)),
        prefixes: show_prefixes(grant),
    });
    let quota = bucket.row.quota;
    v1::Bucket {
        name: bucket.row.name.clone(),
        bucket_id: bucket.id.to_bytes(),
        created_at_ms: bucket.row.created_at_ms,
        grants: grants.collect(),
        objects,
        bytes,
        aliases: bucket.row.aliases.iter().cloned().collect(),
        quota: (!quota.is_none())
            .then_some(v1::BucketQuota { max_bytes: quota.max_bytes, max_objects: quota.max_objects }),
    }
}

fn show_recount((store, outcome): Recounted) -> v1::ReplicaUsage {
    let error = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let Recount { before, counted } = outcome.unwrap_or_default();
    v1::ReplicaUsage {
        store_id: store.to_bytes(),
        error,
        objects_before: before.objects,
        bytes_before: before.bytes,
        objects: counted.objects,
        bytes: counted.bytes,
    }
}

fn show_worker(WorkerInfo { worker, bucket, row }: WorkerInfo) -> v1::Worker {
    v1::Worker {
        worker,
        bucket: row.bucket_name,
        bucket_id: bucket.to_bytes(),
        phase: row.phase.name().to_owned(),
        began_at_ms: row.began_at_ms,
        ended_at_ms: row.ended_at_ms.unwrap_or(0),
        at: match row.phase {
            Phase::Uploads => keys::parse_upload(&row.cursor).map(|(key, _)| key.into()).unwrap_or_default(),
            Phase::Objects | Phase::Done => row.cursor,
        },
        objects_judged: row.objects_judged,
        objects_expired: row.objects_expired,
        uploads_judged: row.uploads_judged,
        uploads_aborted: row.uploads_aborted,
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        let view = self.core.cluster.view();
        let health = status::judge(&view);
        Ok(Response::new(v1::GetStatusResponse {
            view: Some(encode_view(&view)),
            ready: health.ready,
            notes: health.notes,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            traffic: Some(show_traffic(self.core.cluster.traffic())),
            region: self.core.config.region.clone(),
        }))
    }

    async fn create_key(&self, request: Request<v1::CreateKeyRequest>) -> Answer<v1::CreateKeyResponse> {
        let v1::CreateKeyRequest { name, create_bucket, expiry } = request.into_inner();
        let wish = Wish { name: &name, create_bucket, expiry: read_expiry(expiry, Expiry::Never) };
        let made = self.core.create_key(&self.op(), wish).await?;
        let secret_key = made.secret.as_str().to_owned();
        Ok(Response::new(v1::CreateKeyResponse { key: Some(show_key(&made.key, &[])), secret_key }))
    }

    async fn import_key(&self, request: Request<v1::ImportKeyRequest>) -> Answer<v1::ImportKeyResponse> {
        let v1::ImportKeyRequest { name, access_key, secret_key, create_bucket, expiry } = request.into_inner();
        let secret = zeroize::Zeroizing::new(secret_key);
        let wish = Wish { name: &name, create_bucket, expiry: read_expiry(expiry, Expiry::Never) };
        let key = self.core.import_key(&self.op(), wish, access_key, &secret).await?;
        Ok(Response::new(v1::ImportKeyResponse { key: Some(show_key(&key, &[])) }))
    }

    async fn list_keys(&self, _: Request<v1::ListKeysRequest>) -> Answer<v1::ListKeysResponse> {
        let op = self.op();
        let buckets = self.core.list_buckets(&op).await.map_err(AdminError::from)?;
        let keys = self.core.list_keys(&op).await?.iter().map(|key| show_key(key, &buckets)).collect();
        Ok(Response::new(v1::ListKeysResponse { keys }))
    }

    async fn get_key(&self, request: Request<v1::GetKeyRequest>) -> Answer<v1::GetKeyResponse> {
        let op = self.op();
        let key = self.core.find_key(&op, &request.get_ref().key).await?;
        Ok(Response::new(v1::GetKeyResponse { key: Some(self.describe_key(&op, &key).await?) }))
    }

    async fn delete_key(&self, request: Request<v1::DeleteKeyRequest>) -> Answer<v1::DeleteKeyResponse> {
        let key = self.core.delete_key(&self.op(), &request.get_ref().key).await?;
        Ok(Response::new(v1::DeleteKeyResponse { key: Some(show_key(&key, &[])) }))
    }

    async fn change_key(&self, request: Request<v1::ChangeKeyRequest>) -> Answer<v1::ChangeKeyResponse> {
        let v1::ChangeKeyRequest { key, create_bucket, expiry } = request.into_inner();
        let op = self.op();
        let key = self.core.change_key(&op, &key, create_bucket, read_expiry(expiry, None)).await?;
        Ok(Response::new(v1::ChangeKeyResponse { key: Some(self.describe_key(&op, &key).await?) }))
    }

    async fn rotate_key(&self, request: Request<v1::RotateKeyRequest>) -> Answer<v1::RotateKeyResponse> {
        let v1::RotateKeyRequest { key, overlap_ms } = request.into_inner();
        let op = self.op();
        let made = self.core.rotate_key(&op, &key, overlap_ms).await?;
        let key = Some(self.describe_key(&op, &made.key).await?);
        Ok(Response::new(v1::RotateKeyResponse { key, secret_key: made.secret.as_str().to_owned() }))
    }

    async fn end_key_rotation(
        &self,
        request: Request<v1::EndKeyRotationRequest>,
    ) -> Answer<v1::EndKeyRotationResponse> {
        let request = request.into_inner();
        let kept = match request.kept() {
            v1::KeptSecret::New => Kept::New,
            v1::KeptSecret::Previous => Kept::Previous,
            v1::KeptSecret::Unspecified => {
                return Err(AdminError::Invalid("say which secret is kept".to_owned()).into());
            }
        };
        let op = self.op();
        let key = self.core.end_rotation(&op, &request.key, kept).await?;
        Ok(Response::new(v1::EndKeyRotationResponse { key: Some(self.describe_key(&op, &key).await?) }))
    }

    async fn create_bucket(&self, request: Request<v1::CreateBucketRequest>) -> Answer<v1::CreateBucketResponse> {
        let request = request.into_inner();
        let op = self.op();
        let bucket = self.core.add_bucket(&op, &request.name, &request.owner_key).await?;
        let bucket = self.describe(&op, bucket).await?;
        Ok(Response::new(v1::CreateBucketResponse { bucket: Some(bucket) }))
    }

    async fn list_buckets(&self, _: Request<v1::ListBucketsRequest>) -> Answer<v1::ListBucketsResponse> {
        let op = self.op();
        let names = self.names(&op).await?;
        let buckets = self.core.list_buckets(&op).await.map_err(AdminError::from)?;
        let usages: Vec<_> = buckets.iter().map(|bucket| self.core.usage(&op, bucket)).collect();
        let usages: Vec<_> = stream::iter(usages).buffered(IN_FLIGHT).try_collect().await?;
        let buckets = buckets.iter().zip(usages).map(|(bucket, usage)| show_bucket(bucket, &names, usage)).collect();
        Ok(Response::new(v1::ListBucketsResponse { buckets }))
    }

    async fn get_bucket(&self, request: Request<v1::GetBucketRequest>) -> Answer<v1::GetBucketResponse> {
        let op = self.op();
        let bucket = self.core.bucket_named(&op, &request.get_ref().name).await?;
        let bucket = self.describe(&op, bucket).await?;
        Ok(Response::new(v1::GetBucketResponse { bucket: Some(bucket) }))
    }

    async fn delete_bucket(&self, request: Request<v1::DeleteBucketRequest>) -> Answer<v1::DeleteBucketResponse> {
        let op = self.op();
        let bucket = self.core.bucket_named(&op, &request.get_ref().name).await?;
        self.core.delete_bucket(&op, &bucket).await.map_err(AdminError::from)?;
        Ok(Response::new(v1::DeleteBucketResponse {}))
    }

    async fn allow_bucket(&self, request: Request<v1::AllowBucketRequest>) -> Answer<v1::AllowBucketResponse> {
        let v1::AllowBucketRequest { bucket, key, rights, prefixes } = request.into_inner();
        let op = self.op();
        let change = Change { bucket: &bucket, key: &key, rights: read_rights(rights), prefixes: &prefixes };
        let bucket = self.core.allow(&op, change).await?;
        let bucket = self.describe(&op, bucket).await?;
        Ok(Response::new(v1::AllowBucketResponse { bucket: Some(bucket) }))
    }

    async fn set_bucket_quota(
        &self,
        request: Request<v1::SetBucketQuotaRequest>,
    ) -> Answer<v1::SetBucketQuotaResponse> {
        let v1::SetBucketQuotaRequest { bucket, quota } = request.into_inner();
        let op = self.op();
        let v1::BucketQuota { max_bytes, max_objects } = quota.unwrap_or_default();
        let bucket = self.core.set_quota(&op, &bucket, Quota { max_bytes, max_objects }).await?;
        let bucket = self.describe(&op, bucket).await?;
        Ok(Response::new(v1::SetBucketQuotaResponse { bucket: Some(bucket) }))
    }

    async fn repair_usage(&self, request: Request<v1::RepairUsageRequest>) -> Answer<v1::RepairUsageResponse> {
        let recounted = self.core.repair_usage(&self.op(), &request.get_ref().bucket).await?;
        let replicas = recounted.into_iter().map(show_recount).collect();
        Ok(Response::new(v1::RepairUsageResponse { replicas }))
    }

    async fn deny_bucket(&self, request: Request<v1::DenyBucketRequest>) -> Answer<v1::DenyBucketResponse> {
        let v1::DenyBucketRequest { bucket, key, rights, prefixes } = request.into_inner();
        let op = self.op();
        let change = Change { bucket: &bucket, key: &key, rights: read_rights(rights), prefixes: &prefixes };
        let bucket = self.core.deny(&op, change).await?;
        let bucket = self.describe(&op, bucket).await?;
        Ok(Response::new(v1::DenyBucketResponse { bucket: Some(bucket) }))
    }

    async fn add_bucket_alias(
        &self,
        request: Request<v1::AddBucketAliasRequest>,
    ) -> Answer<v1::AddBucketAliasResponse> {
        let v1::AddBucketAliasRequest { bucket, alias } = request.into_inner();
        let op = self.op();
        let bucket = self.core.add_alias(&op, &bucket, &alias).await?;
        let bucket = self.describe(&op, bucket).await?;
        Ok(Response::new(v1::AddBucketAliasResponse { bucket: Some(bucket) }))
    }

    async fn remove_bucket_alias(
        &self,
        request: Request<v1::RemoveBucketAliasRequest>,
    ) -> Answer<v1::RemoveBucketAliasResponse> {
        let v1::RemoveBucketAliasRequest { bucket, alias } = request.into_inner();
        let op = self.op();
        let bucket = self.core.remove_alias(&op, &bucket, &alias).await?;
        let bucket = self.describe(&op, bucket).await?;
        Ok(Response::new(v1::RemoveBucketAliasResponse { bucket: Some(bucket) }))
    }

    async fn list_workers(&self, _: Request<v1::ListWorkersRequest>) -> Answer<v1::ListWorkersResponse> {
        let workers = self.core.list_workers(&self.op()).await?.into_iter().map(show_worker).collect();
        Ok(Response::new(v1::ListWorkersResponse { workers }))
    }
}

fn show_traffic(sent: Traffic) -> v1::Traffic {
    let Traffic { table_rounds, table_calls, hint_calls, block_rounds, block_calls } = sent;
    v1::Traffic { table_rounds, table_calls, hint_calls, block_rounds, block_calls }
}
