//! ServiceAccounts' tokens, as kubectl asks for them and as clients show them.

#![allow(clippy::unwrap_used, reason = "this is a test")]

use carob_tests::Cluster;

#[test]
fn a_token_is_made_and_says_whose_it_is() {
    let kubectl = Cluster::shared().namespace("tokens");
    kubectl.run(&["create", "serviceaccount", "robot"]);
    let token = kubectl.run(&["create", "token", "robot", "--duration", "20m"]);
    let kubeconfig = kubectl.run(&["config", "view", "--raw", "--minify", "--output", "json"]);
    let mut kubeconfig: serde_json::Value = serde_json::from_str(&kubeconfig).unwrap();
    kubeconfig["users"][0]["user"] = serde_json::json!({ "token": token.trim() });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), kubeconfig.to_string()).unwrap();
    let robot = kubectl.with("KUBECONFIG", &file.path().display().to_string());
    let told = robot.run(&["auth", "whoami", "--output", "jsonpath={.status.userInfo.username}"]);
    assert_eq!(told, "system:serviceaccount:tokens:robot");
    assert_eq!(robot.run(&["get", "serviceaccount", "robot", "--output", "name"]), "serviceaccount/robot\n");

    kubectl.run(&["delete", "serviceaccount", "robot"]);
    let refused = robot.attempt(&["get", "pods"]);
    assert!(refused.stderr.contains("Unauthorized") || refused.stderr.contains("logged in"), "{}", refused.stderr);
    let missing = kubectl.attempt(&["create", "token", "nobody"]);
    assert!(missing.stderr.contains("serviceaccounts \"nobody\" not found"), "{}", missing.stderr);
}
