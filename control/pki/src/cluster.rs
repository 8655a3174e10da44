use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::authority::{Authority, Names};
use crate::token_key::TokenKey;
use crate::{Error, KeyPair, files};

/// How long the API server's own and the administrator's certificates are valid. They are made anew at every start.
const LEAF_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What one cluster in one process needs to prove who is who.
pub struct ClusterPki {
    /// The cluster's authority; kept on disk.
    pub authority: Arc<Authority>,
    /// The API server's serving certificate.
    pub apiserver: KeyPair,
    /// A client certificate of the group `system:masters`.
    pub admin: KeyPair,
    /// The client certificate by which the API server asks kubelets, of the group `system:masters`, too.
    pub kubelet_client: KeyPair,
    /// The key that signs ServiceAccounts' tokens; kept on disk.
    pub tokens: Arc<TokenKey>,
}

impl ClusterPki {
    /// Takes up the authority and the tokens' key in `folder`, or makes them there, and signs fresh certificates.
    ///
    /// An administrator's certificate of an earlier start stays valid: the authority is the same.
    pub fn load_or_create(folder: &Path, names: &Names, now: SystemTime) -> Result<Self, Error> {
        let authority = load_or_create_authority(folder, now)?;
        let apiserver = authority.server("kube-apiserver", names, now, LEAF_LIFE)?;
        let admin = authority.client("kubernetes-admin", "system:masters", now, LEAF_LIFE)?;
        let kubelet_client = authority.client("kube-apiserver-kubelet-client", "system:masters", now, LEAF_LIFE)?;
        let tokens = Arc::new(TokenKey::load_or_create(&folder.join("sa.key"))?);
        Ok(Self { authority: Arc::new(authority), apiserver, admin, kubelet_client, tokens })
    }
}

/// The key is written before the certificate: a certificate on disk means that both are there.
fn load_or_create_authority(folder: &Path, now: SystemTime) -> Result<Authority, Error> {
    fs::create_dir_all(folder).map_err(|source| Error::File { act: "create", path: folder.to_owned(), source })?;
    let (key_path, certificate_path) = (folder.join("ca.key"), folder.join("ca.crt"));
    if let Some(certificate) = files::read(&certificate_path)? {
        let key = files::read(&key_path)?.unwrap_or_default();
        return Authority::from_pem(KeyPair { certificate, key })
            .map_err(|source| Error::Unusable { path: certificate_path, source });
    }
    let authority = Authority::generate("carob-ca", now)?;
    files::write_private(&key_path, authority.key())?;
    files::write_private(&certificate_path, authority.certificate())?;
    Ok(authority)
}
