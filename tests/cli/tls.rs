//! Real TLS: who is trusted, and who is not.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::hand::{Hand, Ran};
use crate::orchestrator::hostile::Receiver;

/// A server for `localhost` whose certificate a new authority signed; and that authority's
/// certificate, as PEM.
fn server() -> (Receiver, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(params, authority_key);
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    (receiver(leaf.der().to_vec(), &key), authority.pem())
}

fn receiver(certificate: Vec<u8>, key: &KeyPair) -> Receiver {
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .unwrap();
    Receiver::tls(Arc::new(config))
}

fn write(hand: &Hand, pem: &str) -> PathBuf {
    let path = hand.root().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    path
}

fn flush(hand: &Hand, receiver: &Receiver, more: &[&str]) -> Ran {
    let url = receiver.url();
    let mut arguments = vec!["events", "flush", "--resume", "--orchestrator", &url];
    arguments.extend_from_slice(more);
    hand.run(&arguments)
}

#[test]
fn r38_a_server_that_nobody_vouches_for_is_refused_and_its_events_wait() {
    let hand = Hand::new();
    hand.batch(1);
    let (receiver, _) = server();
    let ran = flush(&hand, &receiver, &[]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(receiver.seen().is_empty());
    let doctor = hand.run(&["doctor", "--orchestrator", &receiver.url()]);
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.out.contains("--ca-file"), "{doctor:?}");
}

#[test]
fn a_self_signed_server_is_refused_unless_its_certificate_is_given() {
    let hand = Hand::new();
    hand.batch(0);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let receiver = receiver(certificate.der().to_vec(), &key);
    assert_eq!(flush(&hand, &receiver, &[]).code, Some(4));
    assert!(receiver.seen().is_empty());
}

#[test]
fn an_authority_given_by_ca_file_is_trusted() {
    let hand = Hand::new();
    hand.batch(1);
    let (receiver, pem) = server();
    let path = write(&hand, &pem);
    let ran = flush(&hand, &receiver, &["--ca-file", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(receiver.seen().len(), 2);
}

#[test]
fn an_authority_given_by_ca_file_vouches_for_its_own_servers_alone() {
    let hand = Hand::new();
    hand.batch(1);
    let ((receiver, _), (_, other)) = (server(), server());
    let path = write(&hand, &other);
    let ran = flush(&hand, &receiver, &["--ca-file", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(receiver.seen().is_empty());
}

#[test]
fn r38_nothing_in_the_environment_turns_the_check_off() {
    let hand = Hand::new();
    hand.batch(1);
    let (receiver, _) = server();
    let mut command = hand.command(&["events", "flush", "--orchestrator", &receiver.url()]);
    for name in [
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "PYTHONHTTPSVERIFY",
        "SSL_VERIFY",
        "GIT_SSL_NO_VERIFY",
    ] {
        command.env(name, "0");
    }
    command.arg("--insecure-http");
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(receiver.seen().is_empty());
}

#[test]
fn a_ca_file_without_certificates_is_an_error() {
    let hand = Hand::new();
    hand.batch(1);
    let (receiver, _) = server();
    let path = write(&hand, "nothing\n");
    let ran = flush(&hand, &receiver, &["--ca-file", path.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("certificate"), "{ran:?}");
}
