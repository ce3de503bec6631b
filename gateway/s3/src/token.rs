//! Continuation tokens: opaque to clients, checked when they come back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::S3Error;

/// First byte of every token, so that another form can come later.
const VERSION: u8 = 1;

/// Makes a token of the place a listing goes on from.
#[must_use]
pub fn encode(position: &str) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(position.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place a token was made of; `InvalidArgument` where it is none of ours.
pub fn decode(token: &str) -> Result<String, S3Error> {
    let refused =
        || S3Error::invalid_argument("continuation-token", token, "The continuation token provided is incorrect");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
    let [VERSION, position @ ..] = bytes.as_slice() else { return Err(refused()) };
    String::from_utf8(position.to_vec()).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_round_trip(position in any::<String>()) {
            prop_assert_eq!(decode(&encode(&position)), Ok(position));
        }

        #[test]
        fn strange_tokens_are_refused_or_read(token in any::<String>()) {
            if let Ok(position) = decode(&token) {
                prop_assert_eq!(encode(&position), token);
            }
        }
    }
}
