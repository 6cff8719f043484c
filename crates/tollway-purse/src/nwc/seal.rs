//! How messages are sealed: NIP-44, or NIP-04 for applications that know nothing newer. An answer has
//! the seal of its request.

use nostr::event::{Event, EventBuilder, EventId, FinalizeEvent, Kind, Tag};
use nostr::key::{Keys, PublicKey};
use nostr::nips::{nip04, nip44};

/// What the description of the wallet says it reads.
pub(crate) const BOTH: &str = "nip44_v2 nip04";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    Nip04,
    Nip44,
}

/// A message could not be opened or sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error("the request names an encryption that is not spoken here")]
    Unknown,
    #[error("the message cannot be decrypted or encrypted")]
    Nostr(#[from] nostr::error::Error),
}

impl Seal {
    /// The seal of that request: what its tag says, and NIP-04 without one.
    pub(crate) fn of(event: &Event) -> Result<Self, SealError> {
        let tag = event.tags.iter().find_map(|tag| match tag.as_slice() {
            [name, value, ..] if name == "encryption" => Some(value.as_str()),
            _ => None,
        });
        match tag {
            Some("nip44_v2") => Ok(Self::Nip44),
            Some("nip04") | None => Ok(Self::Nip04),
            Some(_) => Err(SealError::Unknown),
        }
    }

    /// The text of a message to us.
    pub(crate) fn open(self, ours: &Keys, event: &Event) -> Result<String, SealError> {
        let secret = ours.secret_key();
        Ok(match self {
            Self::Nip04 => nip04::decrypt(secret, &event.pubkey, &event.content)?,
            Self::Nip44 => nip44::decrypt(secret, &event.pubkey, &event.content)?,
        })
    }

    /// The answer to a request, ready to be sent.
    pub(crate) fn answer(
        self,
        ours: &Keys,
        client: PublicKey,
        request: EventId,
        text: &str,
    ) -> Result<Event, SealError> {
        let secret = ours.secret_key();
        let content = match self {
            Self::Nip04 => nip04::encrypt(secret, &client, text)?,
            Self::Nip44 => nip44::encrypt(secret, &client, text, nip44::Version::V2)?,
        };
        let event = EventBuilder::new(Kind::WalletConnectResponse, content)
            .tag(Tag::public_key(client))
            .tag(Tag::event(request))
            .finalize(ours)?;
        Ok(event)
    }
}

/// The wallet's description of itself, which a relay keeps for applications.
pub(crate) fn description(ours: &Keys, methods: &[&str]) -> Result<Event, SealError> {
    let event = EventBuilder::new(Kind::WalletConnectInfo, methods.join(" "))
        .tag(Tag::parse(["encryption", BOTH])?)
        .finalize(ours)?;
    Ok(event)
}
