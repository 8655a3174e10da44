//! The tools that can be run inside every container: one component, which looks at the name that it is called by.

use crate::images::{ImageError, ImageStore, digest};

/// Under which name the tools are an image too, for ephemeral containers.
const IMAGE: &str = "carob.dev/tools";

/// The component, built from `runtime/tools`.
pub(crate) const COMPONENT: &[u8] = include_bytes!(concat!(env!("CAROB_TOOLS_DIR"), "/tools.wasm"));

/// Each tool's name, and in one line what it does; the component itself reads the same file.
const LIST: &str = include_str!("../../tools/tools.txt");

/// Puts the tools into the image store, unless these are there already.
pub(crate) fn provide(images: &ImageStore) -> Result<(), ImageError> {
    let there = images.resolve(IMAGE)?.is_some_and(|image| image.digest == digest(COMPONENT));
    if there { Ok(()) } else { images.load(COMPONENT, IMAGE).map(drop) }
}

/// The names of the tools.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    LIST.lines().filter_map(|line| line.split_whitespace().next())
}

/// The tool that a name or the path of a usual place means.
pub(crate) fn find(name: &str) -> Option<&'static str> {
    let name = ["/usr/bin/", "/bin/"].iter().find_map(|folder| name.strip_prefix(folder)).unwrap_or(name);
    names().find(|tool| *tool == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_found_by_name_and_in_the_usual_places() {
        for (name, expected) in
            [("ls", Some("ls")), ("/bin/tar", Some("tar")), ("/usr/bin/env", Some("env")), ("sh", None), ("/ls", None)]
        {
            assert_eq!(find(name), expected, "{name}");
        }
    }

    #[test]
    fn the_tools_are_an_image_that_is_loaded_once() {
        let dir = tempfile::tempdir().unwrap();
        let images = ImageStore::open(dir.path()).unwrap();
        provide(&images).unwrap();
        let first = images.resolve(IMAGE).unwrap().unwrap();
        provide(&images).unwrap();
        assert_eq!(images.resolve(IMAGE).unwrap().unwrap().loaded, first.loaded);
    }
}
