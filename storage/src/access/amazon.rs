//! Where Amazon's own services are: the domain of each partition, and the forms of a host name that reach S3 and STS by IPv6
//! or with validated cryptography.

use reqwest::Url;

/// A group of regions with a domain of its own. What is here is what Amazon's SDKs have, in `partitions.json` and in the
/// endpoint rules of S3 and STS (botocore 1.43.11, Apache-2.0), and, for people,
/// <https://docs.aws.amazon.com/general/latest/gr/rande.html>.
struct Partition {
    /// What the names of its regions begin with.
    regions: &'static str,
    domain: &'static str,
    /// The domain of services whose dual-stack endpoint isn't in the usual one; S3's is.
    dual_stack_domain: &'static str,
    has_fips: bool,
}

const fn partition(
    regions: &'static str,
    domain: &'static str,
    dual_stack_domain: &'static str,
    has_fips: bool,
) -> Partition {
    Partition { regions, domain, dual_stack_domain, has_fips }
}

/// All others are in the first partition, those among them that don't exist yet.
const PARTITIONS: [Partition; 7] = [
    partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", false),
    partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu", true),
    partition("us-gov-", "amazonaws.com", "api.aws", true),
    partition("us-iso-", "c2s.ic.gov", "api.aws.ic.gov", true),
    partition("us-isob-", "sc2s.sgov.gov", "api.aws.scloud", true),
    partition("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", true),
    partition("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", true),
];
const COMMERCIAL: Partition = partition("", "amazonaws.com", "api.aws", true);

/// Amazon's services in a region, reached in one of their forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmazonEndpoints {
    region: String,
    dual_stack: bool,
    fips: bool,
}

/// That a region has no such endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Amazon has no FIPS endpoints in the regions {0}…")]
pub struct NoFips(&'static str);

impl AmazonEndpoints {
    /// The services in `region`, which can be a part of a host name.
    pub fn new(region: &str) -> Self {
        Self { region: region.to_owned(), ..Self::default() }
    }

    /// The same, reached by IPv4 and IPv6.
    pub fn with_dual_stack(self) -> Self {
        Self { dual_stack: true, ..self }
    }

    /// The same, with cryptography that is validated by FIPS 140.
    ///
    /// # Errors
    /// Where there are no such endpoints.
    pub fn with_fips(self) -> Result<Self, NoFips> {
        match self.partition() {
            partition if partition.has_fips => Ok(Self { fips: true, ..self }),
            partition => Err(NoFips(partition.regions)),
        }
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// S3, without a bucket's name: `https://s3.eu-central-1.amazonaws.com`.
    pub fn s3(&self) -> String {
        let (region, domain) = (&self.region, self.partition().domain);
        let service = if self.fips { "s3-fips" } else { "s3" };
        let dual_stack = if self.dual_stack { ".dualstack" } else { "" };
        format!("https://{service}{dual_stack}.{region}.{domain}")
    }

    /// The security token service.
    pub fn sts(&self) -> Url {
        let (region, partition) = (&self.region, self.partition());
        // GovCloud's usual endpoint is the validated one.
        let is_validated_anyway = partition.regions == "us-gov-" && !self.dual_stack;
        let service = if self.fips && !is_validated_anyway { "sts-fips" } else { "sts" };
        let domain = if self.dual_stack { partition.dual_stack_domain } else { partition.domain };
        format!("https://{service}.{region}.{domain}").parse().expect("a region can be a part of a host name")
    }

    fn partition(&self) -> &'static Partition {
        PARTITIONS.iter().find(|partition| self.region.starts_with(partition.regions)).unwrap_or(&COMMERCIAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What botocore 1.43.11 makes of the same regions and settings: S3 without the bucket, STS.
    const OF_AMAZONS_SDK: &str = "
        eu-central-1                   s3.eu-central-1.amazonaws.com                     sts.eu-central-1.amazonaws.com
        eu-central-1   dualstack       s3.dualstack.eu-central-1.amazonaws.com           sts.eu-central-1.api.aws
        us-east-1      fips            s3-fips.us-east-1.amazonaws.com                   sts-fips.us-east-1.amazonaws.com
        us-east-1      dualstack+fips  s3-fips.dualstack.us-east-1.amazonaws.com         sts-fips.us-east-1.api.aws
        cn-north-1                     s3.cn-north-1.amazonaws.com.cn                    sts.cn-north-1.amazonaws.com.cn
        cn-north-1     dualstack       s3.dualstack.cn-north-1.amazonaws.com.cn          sts.cn-north-1.api.amazonwebservices.com.cn
        us-gov-west-1                  s3.us-gov-west-1.amazonaws.com                    sts.us-gov-west-1.amazonaws.com
        us-gov-west-1  fips            s3-fips.us-gov-west-1.amazonaws.com               sts.us-gov-west-1.amazonaws.com
        us-gov-west-1  dualstack+fips  s3-fips.dualstack.us-gov-west-1.amazonaws.com     sts-fips.us-gov-west-1.api.aws
        us-iso-east-1                  s3.us-iso-east-1.c2s.ic.gov                       sts.us-iso-east-1.c2s.ic.gov
        us-iso-east-1  fips            s3-fips.us-iso-east-1.c2s.ic.gov                  sts-fips.us-iso-east-1.c2s.ic.gov
        us-isob-east-1                 s3.us-isob-east-1.sc2s.sgov.gov                   sts.us-isob-east-1.sc2s.sgov.gov
        us-isof-south-1                s3.us-isof-south-1.csp.hci.ic.gov                 sts.us-isof-south-1.csp.hci.ic.gov
        eu-isoe-west-1                 s3.eu-isoe-west-1.cloud.adc-e.uk                  sts.eu-isoe-west-1.cloud.adc-e.uk
        eusc-de-east-1                 s3.eusc-de-east-1.amazonaws.eu                    sts.eusc-de-east-1.amazonaws.eu
        eusc-de-east-1 dualstack       s3.dualstack.eusc-de-east-1.amazonaws.eu          sts.eusc-de-east-1.api.amazonwebservices.eu
        eusc-de-east-1 dualstack+fips  s3-fips.dualstack.eusc-de-east-1.amazonaws.eu     sts-fips.eusc-de-east-1.api.amazonwebservices.eu
    ";

    #[test]
    fn endpoints_are_those_of_amazons_own_sdk() {
        for line in OF_AMAZONS_SDK.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (region, forms, s3, sts) = match words[..] {
                [region, s3, sts] => (region, "", s3, sts),
                [region, forms, s3, sts] => (region, forms, s3, sts),
                _ => panic!("{line}"),
            };

            let mut endpoints = AmazonEndpoints::new(region);
            if forms.contains("dualstack") {
                endpoints = endpoints.with_dual_stack();
            }
            if forms.contains("fips") {
                endpoints = endpoints.with_fips().unwrap();
            }
            assert_eq!(endpoints.s3(), format!("https://{s3}"), "{line}");
            assert_eq!(endpoints.sts().as_str(), format!("https://{sts}/"), "{line}");
        }
    }

    #[test]
    fn china_has_no_fips_endpoints() {
        let refused = AmazonEndpoints::new("cn-northwest-1").with_fips().unwrap_err().to_string();
        assert_eq!(refused, "Amazon has no FIPS endpoints in the regions cn-…");
    }
}
