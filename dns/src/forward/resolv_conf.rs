//! `resolv.conf(5)`: whom the host asks, and which names it means.

use std::net::{IpAddr, Ipv4Addr};

/// What such a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, in order.
    pub servers: Vec<IpAddr>,
    /// The domains in which short names are looked for, in order.
    pub search: Vec<String>,
    /// The options, as they are written.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads a file's text. Lines that say nothing known are passed over, as the C library does; a file without a server
    /// means this machine.
    pub fn parse(text: &str) -> ResolvConf {
        let mut read = ResolvConf::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                // A zone after the address says which link; it is not kept.
                Some("nameserver") => {
                    let server = words.next().and_then(|word| word.split('%').next()).map(str::parse::<IpAddr>);
                    read.servers.extend(server.into_iter().flatten());
                }
                // The last one counts.
                Some("search" | "domain") => read.search = words.map(domain).filter(|word| !word.is_empty()).collect(),
                Some("options") => read.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        if read.servers.is_empty() {
            read.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        read
    }
}

fn domain(word: &str) -> String {
    word.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_servers_domains_and_options() {
        let text = "# by hand\nnameserver 192.0.2.1 # first\n nameserver fe80::1%eth0\nnameserver nonsense\n\
                    domain old.example\nsearch Corp.Example. lab.example\noptions ndots:2 edns0\noptions rotate\nother\n";
        let expected = ResolvConf {
            servers: vec!["192.0.2.1".parse().unwrap(), "fe80::1".parse().unwrap()],
            search: vec!["corp.example".into(), "lab.example".into()],
            options: vec!["ndots:2".into(), "edns0".into(), "rotate".into()],
        };
        assert_eq!(ResolvConf::parse(text), expected);
        assert_eq!(ResolvConf::parse("").servers, [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(ResolvConf::parse("search .").search, [] as [String; 0]);
    }
}
