//! Who a client is by its certificate, as the upstream is told. Nobody can say so by sending these
//! headers: what comes from outside is taken out.

use base64::prelude::{BASE64_STANDARD, Engine};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use x509_parser::oid_registry::{
    OID_DOMAIN_COMPONENT, OID_PKCS9_EMAIL_ADDRESS, OID_USERID, OID_X509_COMMON_NAME,
    OID_X509_COUNTRY_NAME, OID_X509_LOCALITY_NAME, OID_X509_ORGANIZATION_NAME,
    OID_X509_ORGANIZATIONAL_UNIT, OID_X509_SERIALNUMBER, OID_X509_STATE_OR_PROVINCE_NAME,
    OID_X509_STREET_ADDRESS, Oid,
};
use x509_parser::x509::X509Name;

/// The certificate itself (RFC 9440 section 2.2).
static CERTIFICATE: HeaderName = HeaderName::from_static("client-cert");
/// Its subject (RFC 4514).
static SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");

/// The headers that say who a client is, and are believed only from here. With the chain, which is
/// never sent.
pub(crate) const HEADERS: [&str; 3] = ["client-cert", "client-cert-chain", "x-client-cert-subject"];

/// A client whose certificate was verified.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    certificate: HeaderValue,
    /// `None` where it cannot be written as text.
    subject: Option<HeaderValue>,
}

impl Identity {
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let parsed = x509_parser::parse_x509_certificate(certificate).ok();
        let subject = parsed.and_then(|(_, parsed)| subject(parsed.subject()));
        let subject = subject.and_then(|text| HeaderValue::try_from(text).ok());
        let encoded = format!(":{}:", BASE64_STANDARD.encode(certificate));
        let certificate = HeaderValue::try_from(encoded).expect("base64 is ASCII");
        Self { certificate, subject }
    }

    /// Tells the upstream.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(CERTIFICATE.clone(), self.certificate.clone());
        if let Some(subject) = &self.subject {
            headers.insert(SUBJECT.clone(), subject.clone());
        }
    }
}

/// A name as text that can be read in one way only (RFC 4514 section 2): the last part first, and
/// whatever could be taken for a separator escaped. What is not ASCII is escaped byte by byte, so that
/// it can stand in a header.
fn subject(name: &X509Name<'_>) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in name.iter() {
        let pairs: Option<Vec<String>> = part
            .iter()
            .map(|pair| Some(format!("{}={}", key(pair.attr_type()), escaped(pair.as_str().ok()?))))
            .collect();
        parts.push(pairs?.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

/// The short names of RFC 4514 section 3, and numbers for all others.
fn key(oid: &Oid<'_>) -> String {
    let known = [
        (OID_X509_COMMON_NAME, "CN"),
        (OID_X509_LOCALITY_NAME, "L"),
        (OID_X509_STATE_OR_PROVINCE_NAME, "ST"),
        (OID_X509_ORGANIZATION_NAME, "O"),
        (OID_X509_ORGANIZATIONAL_UNIT, "OU"),
        (OID_X509_COUNTRY_NAME, "C"),
        (OID_X509_STREET_ADDRESS, "STREET"),
        (OID_DOMAIN_COMPONENT, "DC"),
        (OID_USERID, "UID"),
        (OID_X509_SERIALNUMBER, "serialNumber"),
        (OID_PKCS9_EMAIL_ADDRESS, "emailAddress"),
    ];
    let found = known.into_iter().find(|(known, _)| known == oid);
    found.map_or_else(|| oid.to_id_string(), |(_, name)| name.to_owned())
}

fn escaped(text: &str) -> String {
    let last = text.len().wrapping_sub(1);
    let mut escaped = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let at_edge = (byte == b' ' && (at == 0 || at == last)) || (byte == b'#' && at == 0);
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b'=' => {
                escaped.push('\\');
                escaped.push(char::from(byte));
            }
            _ if at_edge => {
                escaped.push('\\');
                escaped.push(char::from(byte));
            }
            b' '..=b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn told(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, text) in parts {
            params.distinguished_name.push(kind.clone(), *text);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let mut headers = HeaderMap::new();
        Identity::of(certificate.der()).tell(&mut headers);
        assert!(headers.keys().all(|name| HEADERS.contains(&name.as_str())), "{headers:?}");
        let encoded = headers[&CERTIFICATE].to_str().unwrap().trim_matches(':');
        assert_eq!(BASE64_STANDARD.decode(encoded).unwrap(), certificate.der().as_ref());
        headers[&SUBJECT].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_subject_can_be_read_in_one_way_only() {
        let (o, cn) = (DnType::OrganizationName, DnType::CommonName);
        assert_eq!(told(&[(o.clone(), "Acme"), (cn.clone(), "alice")]), "CN=alice,O=Acme");
        assert_eq!(told(&[(cn.clone(), "a,O=Admins")]), r"CN=a\,O\=Admins");
        assert_eq!(told(&[(cn.clone(), " #a\\+;<\"> ")]), r#"CN=\ #a\\\+\;\<\"\>\ "#);
        assert_eq!(told(&[(cn.clone(), "#1")]), r"CN=\#1");
        assert_eq!(told(&[(cn.clone(), "é\r\nx: y")]), r"CN=\C3\A9\0D\0Ax: y");
        let other = DnType::CustomDnType(vec![2, 5, 4, 12]);
        assert_eq!(told(&[(other, "Dr.")]), "2.5.4.12=Dr.");
        assert_eq!(told(&[]), "");
    }
}
