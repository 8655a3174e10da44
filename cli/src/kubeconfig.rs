use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::args::KubeconfigOptions;
use crate::data_dir::DataDir;

/// More links in a row than this lead nowhere, as the system counts, too.
const MOST_LINKS: usize = 40;

/// Prints the administrator's kubeconfig, or merges it into the user's own.
pub(crate) fn run(options: &KubeconfigOptions) -> anyhow::Result<()> {
    let path = DataDir::locate(&options.data)?.kubeconfig();
    let ours = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}; has `carob up` run with this data directory?", path.display()))?;
    if !options.merge {
        print!("{ours}");
        return Ok(());
    }
    merge_into(&behind_links(users_own()?), &ours)
}

/// Writes the merged file where the old one is, with the rights that it has.
fn merge_into(target: &Path, ours: &str) -> anyhow::Result<()> {
    let theirs = match fs::read_to_string(target) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", target.display())),
    };
    let merged = merge(&theirs, ours).with_context(|| format!("cannot merge into {}", target.display()))?;
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let held = fs::metadata(target).ok().map(|held| held.permissions());
    carob_pki::write_private(target, &merged)?;
    if let Some(held) = held {
        fs::set_permissions(target, held).with_context(|| format!("cannot set the mode of {}", target.display()))?;
    }
    println!("merged the context \"carob\" into {}", target.display());
    Ok(())
}

/// The file that a path means in the end: a link to it is followed and stays, also one that leads to no file yet.
fn behind_links(mut path: PathBuf) -> PathBuf {
    for _ in 0..MOST_LINKS {
        let Ok(next) = fs::read_link(&path) else { return path };
        path = path.parent().unwrap_or(Path::new("")).join(next);
    }
    path
}

/// The file that kubectl would write to: the first of $KUBECONFIG, or ~/.kube/config.
fn users_own() -> anyhow::Result<PathBuf> {
    if let Some(paths) = std::env::var_os("KUBECONFIG")
        && let Some(first) = std::env::split_paths(&paths).find(|path| path != Path::new(""))
    {
        return Ok(first);
    }
    let home = std::env::var_os("HOME").context("neither KUBECONFIG nor HOME is set")?;
    Ok(Path::new(&home).join(".kube/config"))
}

/// `theirs` with the cluster, user and context of `ours` put in or replaced by name, and our context current.
fn merge(theirs: &str, ours: &str) -> anyhow::Result<String> {
    let ours: Value = serde_saphyr::from_str(ours)?;
    let mut merged: Value = match theirs.trim() {
        "" => json!({ "apiVersion": "v1", "kind": "Config" }),
        text => serde_saphyr::from_str(text).context("it is not YAML")?,
    };
    if !merged.is_object() {
        bail!("it is not a kubeconfig");
    }
    for list in ["clusters", "users", "contexts"] {
        let mut entries = match &merged[list] {
            Value::Array(entries) => entries.clone(),
            Value::Null => Vec::new(),
            _ => bail!("its `{list}` is not a list"),
        };
        for entry in ours[list].as_array().into_iter().flatten() {
            entries.retain(|other| other["name"] != entry["name"]);
            entries.push(entry.clone());
        }
        merged[list] = entries.into();
    }
    merged["current-context"] = ours["current-context"].clone();
    Ok(serde_saphyr::to_string(&merged)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "\
current-context: carob
clusters: [{name: carob, cluster: {server: 'https://127.0.0.1:6443'}}]
users: [{name: carob, user: {}}]
contexts: [{name: carob, context: {cluster: carob, user: carob}}]
";

    #[test]
    fn a_merge_keeps_what_is_not_ours_and_replaces_what_is() {
        let theirs = "\
apiVersion: v1
kind: Config
current-context: work
preferences: {colors: true}
clusters: [{name: work, cluster: {server: 'https://work'}}, {name: carob, cluster: {server: 'https://old'}}]
users: []
contexts:
";
        let merged: Value = serde_saphyr::from_str(&merge(theirs, OURS).unwrap()).unwrap();
        assert_eq!(merged["current-context"], "carob");
        assert_eq!(merged["preferences"]["colors"], true);
        let servers: Vec<_> = merged["clusters"].as_array().unwrap().iter().map(|c| &c["cluster"]["server"]).collect();
        assert_eq!(servers, ["https://work", "https://127.0.0.1:6443"]);
        assert_eq!(merged["contexts"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_absent_file_becomes_ours_alone() {
        let merged: Value = serde_saphyr::from_str(&merge("", OURS).unwrap()).unwrap();
        assert_eq!(merged["kind"], "Config");
        assert_eq!(merged["users"][0]["name"], "carob");
    }

    #[test]
    fn a_link_to_the_file_stays_and_so_does_its_mode() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link, second) =
            (folder.path().join("real"), folder.path().join("link"), folder.path().join("second"));
        symlink("real", &link).unwrap();
        symlink(&link, &second).unwrap();
        let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        merge_into(&behind_links(second.clone()), OURS).unwrap();
        assert_eq!(mode(), 0o600, "a new file is its owner's");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        merge_into(&behind_links(second.clone()), OURS).unwrap();
        assert_eq!(mode(), 0o640);
        assert!(link.is_symlink() && second.is_symlink() && !file.is_symlink());
    }

    #[test]
    fn what_is_not_a_kubeconfig_is_left_alone() {
        assert!(merge("[1, 2]", OURS).is_err());
        assert!(merge("clusters: 7", OURS).is_err());
    }
}
