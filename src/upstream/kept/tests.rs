use super::*;
use crate::upstream::Endpoint;
use std::os::unix::fs::PermissionsExt;

const NOW: i64 = 1_700_000_000;
const BODY: &[u8] = b"{\"keys\":[]}\n with a second line";

fn remote(uri: &str) -> Remote {
    Remote {
        keys_max_age: Duration::from_secs(3_600),
        ..Remote::new(Endpoint::Jwks(uri.parse().expect("a URL")))
    }
}

fn ours() -> Remote {
    remote("https://idp.example/jwks")
}

fn kept() -> (tempfile::TempDir, KeptSets) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = KeptSets::open(&folder.path().join("keys")).expect("it is ours");
    (folder, kept)
}

fn file(kept: &KeptSets) -> PathBuf {
    kept.path().join(file_name("acme"))
}

#[test]
fn what_was_kept_is_found_again_for_as_long_as_it_may_be_trusted() {
    let (_folder, kept) = kept();
    assert_eq!(kept.load("acme", &ours(), NOW), None);
    kept.save("acme", &ours(), NOW, BODY).expect("written");
    let mode = std::fs::metadata(file(&kept)).expect("there").mode();
    assert_eq!(mode & 0o777, 0o600);
    for (now, left) in [(NOW, 3_600), (NOW + 3_599, 1), (NOW - 60, 3_600)] {
        let found = kept.load("acme", &ours(), now).expect("good still");
        assert_eq!(found.body, BODY);
        assert_eq!(found.trust_left.as_secs(), left);
    }
    for now in [NOW + 3_600, NOW - 61] {
        assert_eq!(kept.load("acme", &ours(), now), None);
    }
    kept.renew("acme", &ours(), NOW + 3_600).expect("written");
    let found = kept.load("acme", &ours(), NOW + 3_600);
    assert_eq!(found.expect("good again").body, BODY);
}

#[test]
fn another_issuer_or_another_source_gets_nothing() {
    let (_folder, kept) = kept();
    kept.save("acme", &ours(), NOW, BODY).expect("written");
    let elsewhere = remote("https://evil.example/jwks");
    assert_eq!(kept.load("acme", &elsewhere, NOW), None);
    assert!(kept.renew("acme", &elsewhere, NOW).is_err());
    assert_eq!(kept.load("other", &ours(), NOW), None);
    // Under another's name as well.
    let stolen = kept.path().join(file_name("other"));
    std::fs::copy(file(&kept), stolen).expect("copied");
    assert_eq!(kept.load("other", &ours(), NOW), None);
}

#[test]
fn no_byte_may_be_another_and_none_may_be_missing() {
    let (_folder, kept) = kept();
    kept.save("acme", &ours(), NOW, BODY).expect("written");
    let whole = std::fs::read(file(&kept)).expect("readable");
    for at in 0..whole.len() {
        let mut wrong = whole.clone();
        wrong[at] ^= 1;
        assert!(decode(&wrong).is_err(), "byte {at}");
        assert!(decode(&whole[..at]).is_err(), "cut at {at}");
    }
    std::fs::write(file(&kept), &whole[..whole.len() / 2]).expect("written");
    assert_eq!(kept.load("acme", &ours(), NOW), None);
    kept.save("acme", &ours(), NOW, BODY).expect("written over");
    assert!(kept.load("acme", &ours(), NOW).is_some());
}

#[test]
fn what_a_crash_left_behind_is_in_nobodys_way() {
    let (_folder, kept) = kept();
    let new = kept.path().join(format!("{}.new", file_name("acme")));
    std::fs::write(&new, "torn").expect("written");
    kept.save("acme", &ours(), NOW, BODY).expect("written");
    assert!(!new.exists() && kept.load("acme", &ours(), NOW).is_some());
}

#[test]
fn what_others_may_write_is_not_believed() {
    let (_folder, kept) = kept();
    kept.save("acme", &ours(), NOW, BODY).expect("written");
    let shared = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(file(&kept), shared).expect("set");
    assert_eq!(kept.load("acme", &ours(), NOW), None);
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(kept.path(), open).expect("set");
    assert!(KeptSets::open(kept.path()).is_err());
}

#[test]
fn a_link_is_not_followed() {
    let (folder, kept) = kept();
    kept.save("acme", &ours(), NOW, BODY).expect("written");
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(file(&kept), &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, file(&kept)).expect("linked");
    assert_eq!(kept.load("acme", &ours(), NOW), None);
}
