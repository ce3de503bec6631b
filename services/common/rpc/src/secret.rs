//! The cluster secret: 32 random bytes on which all trust inside a cluster rests (DESIGN §2).
//!
//! - **K1** The secret leaves this module only through HKDF, its file and [`ClusterSecret::reveal`]; it cannot be printed
//!   (the example that does not compile).
//! - **K2** A secret file that others may read, or that is not exactly one secret, is refused
//!   (`tests/rpc/identity.rs: careless_files_are_refused`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use cairn_types::{ClusterId, Entropy};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

const SECRET_LEN: usize = 32;
/// Mode bits that must be off: group and others may do nothing.
const FORBIDDEN_MODE: u32 = 0o077;

/// Why there is no usable secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read the secret file {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot write the secret file {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the secret file {path} may be read by others (mode {mode:03o}); make it 0600")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the secret file {path} does not hold 64 hexadecimal digits")]
    Malformed { path: PathBuf },
    #[error("the secret in {path} is all zero")]
    Trivial { path: PathBuf },
}

/// What opens and seals may say: nothing but that it did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed data does not open with this cluster's key")]
pub struct SealError;

/// 32 random bytes; erased from memory when dropped.
///
/// ```compile_fail
/// fn print(secret: &cairn_rpc::ClusterSecret) {
///     println!("{secret:?}");
/// }
/// ```
#[derive(Clone, ZeroizeOnDrop)]
pub struct ClusterSecret([u8; SECRET_LEN]);

impl PartialEq for ClusterSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ClusterSecret {}

impl ClusterSecret {
    /// A new cluster's secret.
    #[must_use]
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; SECRET_LEN];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The secret as handed over by `Join`. None where it is not 32 bytes or all zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let secret = Self(bytes.try_into().ok()?);
        (!secret.is_trivial()).then_some(secret)
    }

    /// The secret's bytes, for the answer of `Join` and nothing else.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_vec())
    }

    /// Reads a secret file.
    ///
    /// # Errors
    /// The file is missing, readable by others, or not one secret.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        let read = |source| SecretError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        let mode = file.metadata().map_err(read)?.mode() & 0o777;
        if mode & FORBIDDEN_MODE != 0 {
            return Err(SecretError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(2 * SECRET_LEN + 2));
        file.take(1024).read_to_string(&mut text).map_err(read)?;
        let mut secret = Self([0; SECRET_LEN]);
        hex::decode_to_slice(text.trim_end(), &mut secret.0)
            .map_err(|_| SecretError::Malformed { path: path.to_owned() })?;
        if secret.is_trivial() {
            return Err(SecretError::Trivial { path: path.to_owned() });
        }
        Ok(secret)
    }

    /// Writes this secret to a new file of mode 0600, synced with its directory.
    ///
    /// # Errors
    /// The file exists already, or cannot be written.
    pub fn create(&self, path: &Path) -> Result<(), SecretError> {
        let write = |source| SecretError::Write { path: path.to_owned(), source };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(write)?;
        let mut text = Zeroizing::new(hex::encode(self.0));
        text.push('\n');
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(write)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(write)
    }

    /// The cluster this secret makes.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        let mut id = [0; ClusterId::LEN];
        self.expand("cluster id", 0, &mut id);
        ClusterId(id)
    }

    /// A key for one purpose. `generation` rises when the key is rotated.
    pub(crate) fn subkey<const N: usize>(&self, label: &str, generation: u32) -> Zeroizing<[u8; N]> {
        let mut key = Zeroizing::new([0; N]);
        self.expand(label, generation, key.as_mut());
        key
    }

    /// Encrypts `plain` under the subkey of (`label`, `generation`), bound to `context`, which is not stored:
    /// AES-256-GCM with a random nonce before the text.
    ///
    /// # Errors
    /// [`SealError`] only where `plain` is longer than the cipher allows.
    pub fn seal(
        &self,
        label: &str,
        generation: u32,
        context: &[u8],
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut text = plain.to_vec();
        let key = self.aead(label, generation)?;
        let sealed = key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut text);
        if sealed.is_err() {
            text.zeroize();
            return Err(SealError);
        }
        let mut out = nonce.to_vec();
        out.append(&mut text);
        Ok(out)
    }

    /// Decrypts what [`Self::seal`] made.
    ///
    /// # Errors
    /// [`SealError`] where anything differs: key, label, generation, context or one bit of the text.
    pub fn open(
        &self,
        label: &str,
        generation: u32,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError)?;
        let mut text = Zeroizing::new(text.to_vec());
        let key = self.aead(label, generation)?;
        let plain = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut text)
            .map_err(|_| SealError)?
            .len();
        text.truncate(plain);
        Ok(text)
    }

    fn aead(&self, label: &str, generation: u32) -> Result<LessSafeKey, SealError> {
        let key = self.subkey::<32>(label, generation);
        UnboundKey::new(&AES_256_GCM, key.as_slice()).map(LessSafeKey::new).map_err(|_| SealError)
    }

    /// HKDF-SHA256 with the info `cairn/1/<label>/<generation>`. `out` is at most 64 bytes long.
    fn expand(&self, label: &str, generation: u32, out: &mut [u8]) {
        let info = format!("cairn/1/{label}/{generation}");
        let made = Hkdf::<Sha256>::new(Some(b"cairn cluster secret"), &self.0).expand(info.as_bytes(), out);
        debug_assert!(made.is_ok(), "HKDF expands up to 8160 bytes");
    }

    fn is_trivial(&self) -> bool {
        self.0.ct_eq(&[0; SECRET_LEN]).into()
    }
}
