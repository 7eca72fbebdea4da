//! JSON Web Tokens with RS256 (RFC 7519, RFC 7518 section 3.3), read and verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A token whose signature is right.
pub struct Verified {
    /// Its header.
    pub header: Value,
    /// Its claims.
    pub claims: Value,
}

/// Verifies a token with an RSA public key, PKCS #1 in DER.
///
/// # Errors
/// With what is wrong, in a few words.
pub fn verify_rs256(token: &str, public_key: &[u8]) -> Result<Verified, &'static str> {
    let (message, signature) = token.rsplit_once('.').ok_or("it has no signature")?;
    let (header, claims) = message.split_once('.').ok_or("it has no claims")?;
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is not base64url");
    let read = |part: &str| serde_json::from_slice::<Value>(&decoded(part)?).map_err(|_| "it is not JSON");
    let (header, claims) = (read(header)?, read(claims)?);
    if header["alg"] != "RS256" {
        return Err("its algorithm is not RS256");
    }
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256
        .verify_signature(public_key, message.as_bytes(), &decoded(signature)?)
        .map_err(|_| "its signature is wrong")?;
    Ok(Verified { header, claims })
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7515 appendix A.2.
    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvb\
                         S9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm\
                         4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h\
                         6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOP\
                         qvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4\
                           d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5\
                           rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aG\
                           hyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

    // RSAPublicKey of RFC 8017 appendix A.1.1 with exponent 65537.
    fn public_key() -> Vec<u8> {
        let modulus = URL_SAFE_NO_PAD.decode(MODULUS).unwrap();
        assert_eq!(modulus.len(), 256);
        let mut der = vec![0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
        der.extend(modulus);
        der.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
        der
    }

    #[test]
    fn the_published_token_is_verified() {
        let verified = verify_rs256(TOKEN, &public_key()).ok().unwrap();
        assert_eq!(verified.claims["iss"], "joe");
    }

    #[test]
    fn a_token_with_other_claims_is_refused() {
        let other = TOKEN.replace("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Uj");
        assert!(verify_rs256(&other, &public_key()).is_err());
    }
}
