//! Re-seals tokens with another key. Knows nothing of the storage.

use crate::blueconic::auth::refresh::sealed_otherwise;
use crate::blueconic::auth::seal::Seal;
use crate::blueconic::error::ClientError;
use crate::config::secret::Secret;
use crate::model::fault::{Fault, Outcome};
use crate::model::tokens::{Sealed, TokenName};

/// The old and the new key.
pub struct Keys {
    old: Seal,
    new: Seal,
}

impl Keys {
    /// Takes both as the settings give them: 32 bytes in base64.
    pub fn new(old: &Secret, new: &Secret) -> Result<Self, ClientError> {
        Ok(Self {
            old: Seal::named(old, "BLUECONIC_SYNC_OLD_KEY")?,
            new: Seal::new(new)?,
        })
    }

    /// Whether both keys are the same.
    pub fn are_equal(&self) -> bool {
        self.old.id() == self.new.id()
    }

    /// The id of the new key, which reveals nothing of the key.
    pub fn id(&self) -> &str {
        self.new.id()
    }

    /// The re-sealed bytes of a row; none if the new key sealed them already.
    pub fn anew(&self, name: &TokenName, (key_id, sealed): &Sealed) -> Outcome<Option<Sealed>> {
        if key_id == self.new.id() && self.new.open(sealed, name).is_ok() {
            return Ok(None);
        }
        let anew = self.new.reseal(&self.old, sealed, name);
        anew.map(Some).map_err(|error| {
            let fault = Fault::from(ClientError::from(sealed_otherwise(error, key_id.clone(), self.old.id())));
            let what = format!(
                "the tokens of {} at {} ({}) do not open with BLUECONIC_SYNC_OLD_KEY (`{}`)",
                name.client_id,
                name.tenant,
                name.grant_type,
                self.old.id()
            );
            let why = fault.why.unwrap_or_else(|| format!("they were sealed with the key `{key_id}`"));
            Fault::new(fault.kind, what).because(why).hint(
                "nothing was changed; name the key that sealed them in BLUECONIC_SYNC_OLD_KEY. If it is lost, forget them \
                 with `blueconic-sync logout --forget` and sign in again with `blueconic-sync login`",
            )
        })
    }
}
