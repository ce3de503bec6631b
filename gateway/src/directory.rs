//! Keys and buckets as requests look them up: through a cache, and past it before anything is refused.
//!
//! - **D1** `known_*` may be up to two seconds old and serves only to allow; `current_*` was read from a quorum after
//!   the question (see [`crate::cache`]).
//! - **D2** A bucket is there when its name's row and its own row are: whichever of the two a deletion removes first,
//!   the bucket is gone. *Tested by `tests/s3/buckets.rs`.*

use std::sync::Arc;

use cairn_model::rows::{AccessKeyRow, BucketNameRow, BucketRow, Grant, TypedRow};
use cairn_model::{Envelope, keys};
use cairn_quorum::{Cluster, Op};
use cairn_rpc::ClusterSecret;
use cairn_s3::auth::{Scope, SigningKey};
use cairn_types::{BucketId, BucketName, RowKey};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::cache::RowCache;
use crate::failure::Failure;

/// HKDF label and generation of the key that seals access keys' secrets.
const SEAL_LABEL: &str = "access key secrets";
const SEAL_GENERATION: u32 = 1;

/// An access key, opened.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) row: AccessKeyRow,
    secret: Secret,
    /// While a rotation lasts: the secret of before.
    previous: Option<Secret>,
}

/// A secret, opened.
struct Secret {
    text: Zeroizing<String>,
    /// The signing key of the scope last asked for: four HMACs saved a request.
    signing: Mutex<Option<(Scope, SigningKey)>>,
}

impl Secret {
    fn signing_key(&self, scope: &Scope) -> SigningKey {
        let mut signing = self.signing.lock();
        if let Some((cached, key)) = signing.as_ref()
            && cached == scope
        {
            return key.clone();
        }
        let key = SigningKey::derive(&self.text, scope);
        *signing = Some((scope.clone(), key.clone()));
        key
    }
}

impl Key {
    /// What a signature may be of: the newest secret's signing key, and during a rotation the one of before too.
    pub(crate) fn signing_keys(&self, scope: &Scope, now_ms: u64) -> impl Iterator<Item = SigningKey> {
        let previous = self.previous.as_ref().filter(|_| self.row.previous_at(now_ms).is_some());
        std::iter::once(&self.secret).chain(previous).map(|secret| secret.signing_key(scope))
    }

    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.row.expires_at_ms.is_some_and(|at| at <= now_ms)
    }
}

/// A bucket that is there.
#[derive(Clone)]
pub(crate) struct Bucket {
    pub(crate) id: BucketId,
    /// By which it was found: its own, or an alias.
    pub(crate) name: BucketName,
    pub(crate) row: BucketRow,
}

impl Bucket {
    /// None: the key has no right here.
    pub(crate) fn grant(&self, access_key: &str) -> Option<&Grant> {
        self.row.grants.get(access_key)
    }

    pub(crate) fn is_owner(&self, access_key: &str) -> bool {
        self.grant(access_key).is_some_and(|grant| grant.whole.owner)
    }
}

/// The caches of keys and buckets.
pub(crate) struct Directory {
    keys: RowCache<Key>,
    buckets: RowCache<Bucket>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self { keys: RowCache::new(), buckets: RowCache::new() }
    }

    pub(crate) fn known_key(&self, id: &str) -> Option<Arc<Key>> {
        self.keys.cached(id)
    }

    /// None: there is no such key.
    pub(crate) async fn current_key(
        &self,
        cluster: &Cluster,
        secret: &ClusterSecret,
        op: &Op,
        id: &str,
    ) -> Result<Option<Arc<Key>>, Failure> {
        self.keys
            .fresh(id, || async move {
                let Some(row) = read_row::<AccessKeyRow>(cluster, op, keys::access_key(id)).await? else {
                    return Ok(None);
                };
                let previous = row.previous.as_ref().map(|previous| open(secret, id, &previous.sealed)).transpose()?;
                Ok(Some(Key { id: id.to_owned(), secret: open(secret, id, &row.sealed_secret)?, previous, row }))
            })
            .await
    }

    pub(crate) fn known_bucket(&self, name: &BucketName) -> Option<Arc<Bucket>> {
        self.buckets.cached(name.as_str())
    }

    /// None: there is no such bucket.
    pub(crate) async fn current_bucket(
        &self,
        cluster: &Cluster,
        op: &Op,
        name: &BucketName,
    ) -> Result<Option<Arc<Bucket>>, Failure> {
        self.buckets.fresh(name.as_str(), || read_bucket(cluster, op, name)).await
    }

    pub(crate) fn forget_key(&self, id: &str) {
        self.keys.forget(id);
    }

    /// Forgets what a name leads to.
    pub(crate) fn forget_name(&self, name: &BucketName) {
        self.buckets.forget(name.as_str());
    }

    /// Forgets a bucket under every name it is known to have.
    pub(crate) fn forget_bucket(&self, bucket: &Bucket) {
        let names = bucket.row.aliases.iter().map(String::as_str);
        names.chain([bucket.name.as_str(), bucket.row.name.as_str()]).for_each(|name| self.buckets.forget(name));
    }
}

async fn read_bucket(cluster: &Cluster, op: &Op, name: &BucketName) -> Result<Option<Bucket>, Failure> {
    let Some(BucketNameRow { bucket: id }) = read_row(cluster, op, keys::bucket_name(name)).await? else {
        return Ok(None);
    };
    let row = read_row::<BucketRow>(cluster, op, keys::bucket(id)).await?;
    Ok(row.map(|row| Bucket { id, name: name.clone(), row }))
}

/// A typed row from a quorum. None: there is none, or a tombstone.
pub(crate) async fn read_row<R: TypedRow>(cluster: &Cluster, op: &Op, key: RowKey) -> Result<Option<R>, Failure> {
    let envelope = cluster.read(op, key).await?.map(|row| row.envelope);
    Ok(envelope.map(|envelope| R::decode(&envelope.value)).transpose()?)
}

/// The envelope of a row of a small table.
pub(crate) fn small_row(row: &impl TypedRow) -> Envelope {
    Envelope { value: row.encode(), ..Envelope::default() }
}

/// Seals an access key's secret for its row, bound to the key's id.
pub(crate) fn seal(
    cluster_secret: &ClusterSecret,
    id: &str,
    secret: &str,
    entropy: &dyn cairn_types::Entropy,
) -> Result<Vec<u8>, Failure> {
    cluster_secret
        .seal(SEAL_LABEL, SEAL_GENERATION, id.as_bytes(), secret.as_bytes(), entropy)
        .map_err(|error| Failure::internal(error.to_string()))
}

fn open(cluster_secret: &ClusterSecret, id: &str, sealed: &[u8]) -> Result<Secret, Failure> {
    let plain = cluster_secret
        .open(SEAL_LABEL, SEAL_GENERATION, id.as_bytes(), sealed)
        .map_err(|error| Failure::internal(error.to_string()))?;
    let text = std::str::from_utf8(&plain).map_err(|_| Failure::internal("a secret that is not text"))?;
    Ok(Secret { text: Zeroizing::new(text.to_owned()), signing: Mutex::new(None) })
}
