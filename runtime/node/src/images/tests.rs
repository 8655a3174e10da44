use super::{ImageError, ImageStore};

const MODULE: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn a_loaded_image_is_found_by_name_tag_and_digest_by_every_store_on_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let running = ImageStore::open(dir.path().join("images")).unwrap();
    assert!(running.resolve("hello").unwrap().is_none());

    let other = ImageStore::open(dir.path().join("images")).unwrap();
    let loaded = other.load(MODULE, "hello").unwrap();

    for name in ["hello", "hello:latest", &format!("hello@{}", loaded.digest)] {
        let found = running.resolve(name).unwrap().unwrap();
        assert_eq!(found.digest, loaded.digest);
        assert_eq!(found.program().unwrap(), MODULE);
    }
    assert_eq!(running.list().unwrap().len(), 1);
}

#[test]
fn a_name_moves_to_a_new_file_and_the_old_file_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(dir.path().join("images")).unwrap();
    let first = store.load(MODULE, "hello").unwrap();
    let version = store.version();
    let second = store.load(b"\0asm\x0d\0\x01\0", "hello").unwrap();

    assert!(store.version() != version);
    assert_eq!(store.resolve("hello").unwrap().unwrap().digest, second.digest);
    assert!(first.program().is_err());
    assert!(second.program().is_ok());
}

#[test]
fn what_is_not_wasm_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = ImageStore::open(dir.path().join("images")).unwrap();
    let error = store.load(b"\x7fELF", "hello").unwrap_err();
    assert!(matches!(error, ImageError::NotWasm(_)), "{error}");
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let images = dir.path().join("images");
    std::thread::scope(|scope| {
        for n in 0..8 {
            let images = &images;
            scope.spawn(move || ImageStore::open(images).unwrap().load(MODULE, &format!("image-{n}")).unwrap());
        }
    });
    assert_eq!(ImageStore::open(&images).unwrap().list().unwrap().len(), 8);
}
