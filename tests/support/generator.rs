//! Configurations of any size as a Kong control plane sends them: the same for the same number of services, with
//! random ids so that they compress as real ones do. What Kong itself sent is in `tests/data/`.

use std::fmt::Write as _;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use lifeboat_core::kong::Configuration;

/// A declarative configuration with `services` services and as many routes, one per service. 50,000 make 58 MB of
/// JSON, 6.6 MB compressed, as the largest that was seen (KONG.md section 1).
pub fn configuration(services: usize) -> Vec<u8> {
    let mut random = Random(391);
    let workspace = random.uuid();
    let ids: Vec<String> = (0..services).map(|_| random.uuid()).collect();
    let mut json = String::with_capacity(1200 * services + 1024);
    let _ = write!(
        json,
        r#"{{"workspaces":[{{"created_at":1795167079,"updated_at":1795167079,"id":"{workspace}","config":{{}},"name":"default","meta":{{}},"comment":null}}],"_transform":false,"plugins":[{{"service":null,"route":null,"enabled":true,"name":"prometheus","instance_name":null,"created_at":1795169495,"updated_at":1795169495,"id":"{}","config":{{"per_consumer":false,"status_code_metrics":true,"bandwidth_metrics":false,"upstream_health_metrics":false,"latency_metrics":false,"ai_metrics":false}},"consumer":null,"tags":null,"protocols":["grpc","grpcs","http","https"]}}],"_format_version":"3.0","services":["#,
        random.uuid()
    );
    for (number, id) in ids.iter().enumerate() {
        comma(&mut json, number);
        service(&mut json, number, id, &random.uuid());
    }
    json.push_str("],\"routes\":[");
    for (number, service) in ids.iter().enumerate() {
        comma(&mut json, number);
        route(&mut json, number, &random.uuid(), service, &ids[number / 10]);
    }
    let _ = write!(json, r#"],"parameters":[{{"created_at":null,"key":"cluster_id","value":"{}"}}]}}"#, random.uuid());
    json.into_bytes()
}

/// A declarative configuration with so many consumers, each with two keys, beside a few services: how configurations come to
/// hundreds of megabytes. 1,000,000 consumers make some 520 MB of JSON. Of each edition every hundredth consumer differs.
pub fn consumers(count: usize, edition: u64) -> Vec<u8> {
    let few = configuration(10);
    let few = few.strip_suffix(b"}").expect("a configuration is an object");
    let mut random = Random(392);
    let ids: Vec<String> = (0..count).map(|_| random.uuid()).collect();

    let mut json = String::with_capacity(540 * count + 16 * 1024);
    json.push_str(std::str::from_utf8(few).expect("it is text"));
    json.push_str(",\"consumers\":[");
    for (number, id) in ids.iter().enumerate() {
        comma(&mut json, number);
        consumer(&mut json, number, id, if number % 100 == 0 { edition } else { 0 });
    }
    json.push_str("],\"keyauth_credentials\":[");
    for number in 0..2 * count {
        comma(&mut json, number);
        let (id, key) = (random.uuid(), random.uuid().replace('-', ""));
        credential(&mut json, number, &id, &ids[number / 2], &key);
    }
    json.push_str("]}");
    json.into_bytes()
}

/// The message in which a control plane sends this configuration, under Kong's own hash of it.
///
/// # Panics
/// `configuration` is no JSON object.
pub fn reconfigure_message(configuration: &[u8]) -> Vec<u8> {
    let (_, hashes) = Configuration::from_json_with_hashes(Bytes::copy_from_slice(configuration)).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    let begin = r#"{"timestamp":1795169514.844,"type":"reconfigure","#;
    write!(gzip, r#"{begin}"config_hash":"{}","config_table":"#, hashes.config).unwrap();
    gzip.write_all(configuration).unwrap();
    write!(gzip, r#","hashes":{}}}"#, serde_json::to_string(&hashes).unwrap()).unwrap();
    gzip.finish().unwrap()
}

fn comma(json: &mut String, number: usize) {
    if number > 0 {
        json.push(',');
    }
}

fn service(json: &mut String, number: usize, id: &str, owner: &str) {
    let time = 1_795_168_053 + number / 7;
    let team = number % 41;
    let _ = write!(
        json,
        r#"{{"tls_verify_depth":null,"host":"service-{number}.team-{team}.svc.cluster.local","enabled":true,"path":null,"write_timeout":60000,"created_at":{time},"updated_at":{time},"retries":5,"protocol":"http","port":8080,"name":"team-{team}-service-{number}","client_certificate":null,"tags":["team-{team}","managed-by-deck","environment-production","cost-center-{owner}"],"ca_certificates":null,"id":"{id}","connect_timeout":60000,"tls_verify":null,"read_timeout":60000}}"#
    );
}

fn route(json: &mut String, number: usize, id: &str, service: &str, tenant: &str) {
    let time = 1_795_168_053 + number / 7;
    let team = number % 41;
    let _ = write!(
        json,
        r#"{{"strip_path":true,"request_buffering":true,"created_at":{time},"updated_at":{time},"sources":null,"destinations":null,"protocols":["http","https"],"service":"{service}","methods":["GET","POST","PUT","DELETE"],"name":"team-{team}-route-{number}","path_handling":"v0","regex_priority":0,"snis":null,"preserve_host":false,"paths":["/team-{team}/service-{number}"],"tags":["team-{team}","managed-by-deck","environment-production"],"headers":{{"x-tenant-id":["{tenant}"]}},"hosts":["team-{team}.api.example.com"],"https_redirect_status_code":426,"response_buffering":true,"id":"{id}"}}"#
    );
}

fn consumer(json: &mut String, number: usize, id: &str, edition: u64) {
    let time = 1_795_168_053 + number / 7;
    let _ = write!(
        json,
        r#"{{"created_at":{time},"updated_at":{time},"id":"{id}","username":"consumer-{number}-{edition}","custom_id":"account-{number}","tags":null}}"#
    );
}

fn credential(json: &mut String, number: usize, id: &str, consumer: &str, key: &str) {
    let time = 1_795_168_053 + number / 14;
    let _ = write!(
        json,
        r#"{{"created_at":{time},"id":"{id}","consumer":"{consumer}","key":"{key}","tags":null,"ttl":null}}"#
    );
}

/// SplitMix64, after Sebastiano Vigna's public-domain description: small, and the same everywhere and for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(((u128::from(self.next()) << 64) | u128::from(self.next())).to_be_bytes())
            .into_uuid()
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};

    use super::*;

    #[test]
    fn fifty_thousand_services_are_as_large_as_kong_s() {
        let json = configuration(50_000);
        let message = reconfigure_message(&json);
        let near = |size: usize, megabytes: f64, tolerance: f64| {
            let ratio = size as f64 / 1e6 / megabytes;
            assert!((ratio - 1.0).abs() < tolerance, "{size} bytes are not about {megabytes} MB");
        };
        near(json.len(), 58.0, 0.05);
        near(message.len(), 6.6, 0.2);
    }

    #[test]
    fn a_million_consumers_with_two_keys_each_fit_the_largest_configuration_that_is_taken() {
        let json = consumers(10_000, 1);
        assert!((500 * 10_000..DEFAULT_MAX_CONFIG / 100).contains(&json.len()), "{}", json.len());
        let counts = decode(&reconfigure_message(&json), DEFAULT_MAX_CONFIG).unwrap().configuration.counts().clone();
        let counted = ["services", "consumers", "keyauth_credentials"].map(|kind| counts.get(kind));
        assert_eq!(counted, [10, 10_000, 20_000]);
        assert_ne!(json, consumers(10_000, 2));
    }

    #[test]
    fn a_generated_message_is_read_as_what_it_was_made_of() {
        let json = configuration(100);
        let read = decode(&reconfigure_message(&json), DEFAULT_MAX_CONFIG).unwrap();
        assert_eq!(read.configuration.json(), &json);
        assert_eq!(Some(read.configuration.hashes()), read.hashes);
        assert_eq!(read.config_hash, read.configuration.hashes().config);
        let counts = read.configuration.counts();
        assert_eq!((counts.get("services"), counts.get("routes"), counts.get("plugins")), (100, 100, 1));
    }
}
