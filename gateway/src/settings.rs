//! Settings of buckets: read and changed whole, in the bucket's row, by its owners.
//!
//! - **T1** A setting is stored only after all of it was understood (S3.md §1.1); what is refused changes nothing.
//! - **T2** Two changes of one bucket's row (settings, grants) never undo each other: each is one register update.
//!   *Tested by `tests/s3/settings.rs`.*

use cairn_model::rows::{BucketRow, Settings, TypedRow as _};
use cairn_model::{Envelope, keys};
use cairn_quorum::{Op, UpdateError};
use cairn_s3::lifecycle::MINIMUM_SIZE_OF_TRANSITIONS;
use cairn_s3::operation::Setting;
use cairn_s3::xml::read;
use cairn_s3::{ErrorCode, S3Error};
use http::{HeaderName, Response, StatusCode};

use crate::convert;
use crate::core::Core;
use crate::directory::{Bucket, small_row};
use crate::exchange::{Answer, Exchange, bare, set, xml};
use crate::failure::Failure;
use crate::http::Body;
use crate::payload::Payload;

const MINIMUM_SIZE: HeaderName = HeaderName::from_static("x-amz-transition-default-minimum-object-size");

/// The setting as it is now, or AWS's own error where it is not set.
pub(crate) async fn get(x: &Exchange, setting: Setting) -> Answer {
    let name = &x.granted.bucket()?.name;
    let bucket = x.core.directory.current_bucket(&x.core.cluster, &x.op(), name).await?;
    let bucket = bucket.ok_or_else(|| S3Error::new(ErrorCode::NoSuchBucket).field("BucketName", name.as_str()))?;
    let settings = &bucket.row.settings;
    let document = match setting {
        Setting::Cors => settings.cors.as_ref().map(|cors| Ok::<_, Failure>(convert::cors(cors)?.to_xml())),
        Setting::Lifecycle => settings.lifecycle.as_ref().map(|rules| Ok(convert::lifecycle(rules).to_xml())),
        Setting::Website => settings.website.as_ref().map(|website| Ok(convert::website(website).to_xml())),
    };
    let missing = || S3Error::new(setting.missing()).field("BucketName", name.as_str());
    let mut response = xml(document.ok_or_else(missing)??);
    describe(setting, &mut response);
    Ok(response)
}

pub(crate) async fn put(x: &Exchange, setting: Setting, body: &mut Payload<'_>) -> Answer {
    let most = match setting {
        Setting::Lifecycle => read::MAX_LIFECYCLE_BYTES,
        Setting::Cors => read::MAX_CONFIGURATION_BYTES,
        Setting::Website => read::MAX_WEBSITE_BYTES,
    };
    let document = body.read_all(most).await?;
    let bucket = x.granted.bucket()?;
    match setting {
        Setting::Cors => {
            let cors = convert::stored_cors(&read::cors(&document)?);
            x.core.change_settings(&x.op(), bucket, |settings| settings.cors = Some(cors.clone())).await?;
        }
        Setting::Lifecycle => {
            let rules = convert::stored_lifecycle(read::lifecycle(&document)?);
            x.core.change_settings(&x.op(), bucket, |settings| settings.lifecycle = Some(rules.clone())).await?;
        }
        Setting::Website => {
            let website = convert::stored_website(read::website(&document)?);
            x.core.change_settings(&x.op(), bucket, |settings| settings.website = Some(website.clone())).await?;
        }
    }
    let mut response = bare(StatusCode::OK);
    describe(setting, &mut response);
    Ok(response)
}

/// Deleting what is not set is no error.
pub(crate) async fn delete(x: &Exchange, setting: Setting) -> Answer {
    let bucket = x.granted.bucket()?;
    match setting {
        Setting::Cors => x.core.change_settings(&x.op(), bucket, |settings| settings.cors = None).await?,
        Setting::Lifecycle => x.core.change_settings(&x.op(), bucket, |settings| settings.lifecycle = None).await?,
        Setting::Website => x.core.change_settings(&x.op(), bucket, |settings| settings.website = None).await?,
    }
    Ok(bare(StatusCode::NO_CONTENT))
}

/// What answers say beside the document: of lifecycle rules the smallest object that is moved to another storage class,
/// which can only be AWS's default where none ever is.
fn describe(setting: Setting, response: &mut Response<Body>) {
    match setting {
        Setting::Lifecycle => set(response.headers_mut(), MINIMUM_SIZE, MINIMUM_SIZE_OF_TRANSITIONS),
        Setting::Cors | Setting::Website => {}
    }
}

impl Core {
    /// Changes a bucket's settings in its row. This gateway sees it at once, others within two seconds.
    ///
    /// # Errors
    /// `NoSuchBucket` where it was deleted meanwhile.
    pub(crate) async fn change_settings(
        &self,
        op: &Op,
        bucket: &Bucket,
        change: impl Fn(&mut Settings) + Send,
    ) -> Result<(), Failure> {
        let update = |current: Option<&Envelope>| {
            let current = current.ok_or_else(|| Failure::from(ErrorCode::NoSuchBucket))?;
            let mut row = BucketRow::decode(&current.value)?;
            change(&mut row.settings);
            Ok(Some(small_row(&row)))
        };
        let updated = self.cluster.update(op, keys::bucket(bucket.id), self.new_op(), update).await;
        self.directory.forget_bucket(bucket);
        match updated {
            Ok(_) => Ok(()),
            Err(UpdateError::Refused(failure)) => Err(failure),
            Err(UpdateError::Failed(error)) => Err(error.into()),
        }
    }
}
