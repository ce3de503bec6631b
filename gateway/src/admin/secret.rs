//! Access keys and their secrets: made, and checked when they come from elsewhere. Pure but for chance.

use cairn_types::Entropy;
use zeroize::Zeroizing;

/// Letters of ids: AWS's, so that tools which look at the shape are content.
const ID_LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Letters of secrets: none that a URL or a shell would change.
const SECRET_LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ID_PREFIX: &str = "AK";
const ID_LENGTH: usize = 20;
const SECRET_LENGTH: usize = 40;

/// A new access key id: 20 characters, 90 bits of chance.
pub(super) fn access_key(entropy: &dyn Entropy) -> String {
    let mut id = ID_PREFIX.to_owned();
    draw(entropy, ID_LETTERS, ID_LENGTH - ID_PREFIX.len(), &mut id);
    id
}

/// A new secret: 40 characters, 238 bits of chance.
pub(super) fn secret_key(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut secret = Zeroizing::new(String::with_capacity(SECRET_LENGTH));
    draw(entropy, SECRET_LETTERS, SECRET_LENGTH, &mut secret);
    secret
}

/// Appends `count` letters, each as likely as the others.
fn draw(entropy: &dyn Entropy, letters: &[u8], count: usize, out: &mut String) {
    let fair = 256 - 256 % letters.len();
    let mut left = count;
    while left > 0 {
        let mut bytes = Zeroizing::new([0_u8; 64]);
        entropy.fill(bytes.as_mut());
        for byte in bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair).take(left) {
            out.push(char::from(letters[byte % letters.len()]));
            left -= 1;
        }
    }
}

/// A key made by another store: an id that can stand in a credential, a secret that is one.
pub(super) fn check_imported(id: &str, secret: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(3..=128).contains(&id.len()) || !id.bytes().all(plain) {
        return Err("an access key is 3 to 128 letters, digits, '-', '_' or '.'".to_owned());
    }
    if !(8..=128).contains(&secret.len()) || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a secret key is 8 to 128 printable characters without spaces".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cairn_types::SystemEntropy;

    use super::*;

    #[test]
    fn keys_have_the_usual_shape() {
        let id = access_key(&SystemEntropy);
        assert_eq!(id.len(), 20);
        assert!(id.starts_with("AK") && id.bytes().all(|byte| ID_LETTERS.contains(&byte)));
        let secret = secret_key(&SystemEntropy);
        assert_eq!(secret.len(), 40);
        assert!(secret.bytes().all(|byte| SECRET_LETTERS.contains(&byte)));
        assert_ne!(*secret, *secret_key(&SystemEntropy));
        assert!(check_imported(&id, &secret).is_ok());
    }

    #[test]
    fn what_cannot_be_a_key_is_refused() {
        for (id, secret) in [("ab", "12345678"), ("a/b", "12345678"), ("good", "short"), ("good", "with space")] {
            assert!(check_imported(id, secret).is_err(), "{id} {secret}");
        }
    }
}
