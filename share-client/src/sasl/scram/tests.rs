//! The exchange of RFC 7677, and brokers that do not keep to it.

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn started() -> Scram {
    let (scram, first) = Scram::start(Hash::Sha256, "user", "pencil", NONCE);
    assert_eq!(first, format!("n,,n=user,r={NONCE}").into_bytes());
    scram
}

fn proved() -> Scram {
    let mut scram = started();
    scram.answered(SERVER_FIRST.as_bytes()).unwrap();
    scram
}

#[test]
fn the_exchange_of_rfc_7677() {
    let mut scram = started();
    let proof =
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let step = scram.answered(SERVER_FIRST.as_bytes()).unwrap();
    assert_eq!(step, Step::Send(proof.as_bytes().to_vec()));
    assert_eq!(scram.answered(SERVER_FINAL.as_bytes()), Ok(Step::Done));
    assert!(scram.answered(SERVER_FINAL.as_bytes()).is_err());
}

#[test]
fn names_are_escaped() {
    let (_, first) = Scram::start(Hash::Sha512, "a=b,c", "x", "n");
    assert_eq!(first, b"n,,n=a=3Db=2Cc,r=n");
}

#[test]
fn a_broker_that_does_not_know_the_password_is_refused() {
    let other = "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(proved().answered(other.as_bytes()), Err(SaslError::Impostor));
    // Only the beginning of the signature.
    assert_eq!(proved().answered(b"v=6rri"), Err(SaslError::Impostor));
    for answer in [&b""[..], b"v=", b"v=!", b"m=x", b"\xff"] {
        assert!(proved().answered(answer).is_err());
    }
    let reason = "invalid-proof".to_owned();
    assert_eq!(
        proved().answered(b"e=invalid-proof"),
        Err(SaslError::Refused { reason })
    );
}

#[test]
fn a_first_message_is_not_taken_as_it_comes() {
    let salt = "s=W22ZaJ0SNY7soEsUEjb6gQ==";
    for (answer, words) in [
        (
            format!("r={NONCE}x,{salt},i=4095"),
            "asks for 4095 iterations; 4096 to 200000 are done",
        ),
        (format!("r={NONCE}x,{salt},i=200001"), "asks for 200001 iterations"),
        (
            format!("r={NONCE}x,{salt},i=99999999999999999999999"),
            "asks for 99999999999999999999 iterations",
        ),
        (format!("r={NONCE}x,{salt},i=-1"), "asks for -1 iterations"),
        (format!("r={NONCE},{salt},i=4096"), "its nonce does not go on from ours"),
        (
            format!("r=x{NONCE},{salt},i=4096"),
            "its nonce does not go on from ours",
        ),
        (format!("r={NONCE}x,s=,i=4096"), "it has no salt"),
        (format!("r={NONCE}x,s=!,i=4096"), "it has no salt"),
        (format!("r={NONCE}x,{salt}"), "it has no iterations"),
        (format!("m=ext,r={NONCE}x,{salt},i=4096"), "it has no nonce"),
        (format!("r={}", "x".repeat(70_000)), "it is longer than 64 KiB"),
    ] {
        let error = started().answered(answer.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn sha_512_ends_as_a_server_would_have_it() {
    let (mut scram, _) = Scram::start(Hash::Sha512, "user", "pencil", NONCE);
    let Step::Send(proof) = scram.answered(SERVER_FIRST.as_bytes()).unwrap() else {
        panic!("no proof");
    };
    let proof = String::from_utf8(proof).unwrap();
    let (without_proof, proof) = proof.rsplit_once(",p=").unwrap();
    // The server's side of RFC 5802, section 3: from the proof back to the stored key.
    let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let salted = Hash::Sha512.derive(b"pencil", &salt, NonZeroU32::new(4096).unwrap());
    let salted = hmac::Key::new(hmac::HMAC_SHA512, &salted);
    let stored_key = digest::digest(&digest::SHA512, hmac::sign(&salted, b"Client Key").as_ref());
    let message = format!("n=user,r={NONCE},{SERVER_FIRST},{without_proof}");
    let signature = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA512, stored_key.as_ref()),
        message.as_bytes(),
    );
    let proof = BASE64_STANDARD.decode(proof).unwrap();
    let client_key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
    assert_eq!(
        digest::digest(&digest::SHA512, &client_key).as_ref(),
        stored_key.as_ref()
    );
    let server_key = hmac::Key::new(hmac::HMAC_SHA512, hmac::sign(&salted, b"Server Key").as_ref());
    let server_final = format!(
        "v={}",
        BASE64_STANDARD.encode(hmac::sign(&server_key, message.as_bytes()))
    );
    assert_eq!(scram.answered(server_final.as_bytes()), Ok(Step::Done));
}
