//! Who we are to the object store: by a file, or by the usual variables. The values go nowhere but to the client
//! that signs with them.

use std::path::Path;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use super::{ObjectStoreError, Settings};

/// Names that say who we are. All else that the client knows (`AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, ...) would set
/// aside what the configuration allows.
const NAMES: [&str; 9] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_web_identity_token_file",
    "aws_role_arn",
    "aws_role_session_name",
    "aws_container_credentials_relative_uri",
    "aws_container_credentials_full_uri",
    "aws_container_authorization_token_file",
];

const KEY: &str = "s3_credentials_file";

/// Without `Debug`, so that no log can show it.
pub(super) struct Credentials(Vec<(AmazonS3ConfigKey, String)>);

impl Credentials {
    /// As the settings say; none are read where no bucket needs them.
    ///
    /// # Errors
    /// [`ObjectStoreError::Setting`] where there are none; never with a value.
    pub fn find(settings: &Settings) -> Result<Self, ObjectStoreError> {
        let refuse = |problem: String| Err(ObjectStoreError::Setting { key: KEY, problem });
        let file = &settings.s3_credentials_file;
        if !file.as_os_str().is_empty() {
            let found = Self::from_file(file)?;
            return match found.has(["aws_access_key_id", "aws_secret_access_key"]) {
                true => Ok(found),
                false => refuse(format!("{file:?} lacks aws_access_key_id or aws_secret_access_key in [default]")),
            };
        }
        let text = |s: std::ffi::OsString| s.into_string().ok();
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        let found = Self::of(variables.filter(|(name, _)| name.starts_with("AWS_")));
        // Elsewhere than at AWS, no machine has a role to fall back on.
        match found.0.is_empty() && !settings.s3_endpoint.is_empty() {
            true => refuse("is not set, nor are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: set either".into()),
            false => Ok(found),
        }
    }

    fn from_file(file: &Path) -> Result<Self, ObjectStoreError> {
        let failed = |e| ObjectStoreError::Setting { key: KEY, problem: format!("{file:?} cannot be read: {e}") };
        let text = std::fs::read_to_string(file).map_err(failed)?;
        let mut ours = true;
        let mut said = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if line.starts_with('[') {
                ours = line == "[default]";
            } else if let Some((name, value)) = line.split_once('=').filter(|_| ours) {
                said.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Ok(Self::of(said.into_iter()))
    }

    fn of(said: impl Iterator<Item = (String, String)>) -> Self {
        let said = said.map(|(name, value)| (name.to_ascii_lowercase(), value));
        let ours = said.filter(|(name, value)| NAMES.contains(&name.as_str()) && !value.is_empty());
        Self(ours.filter_map(|(name, value)| Some((name.parse().ok()?, value))).collect())
    }

    fn has<const N: usize>(&self, names: [&str; N]) -> bool {
        names.iter().all(|name| name.parse().is_ok_and(|key| self.0.iter().any(|(k, _)| *k == key)))
    }

    /// Gives them to the client.
    pub fn give(&self, builder: AmazonS3Builder) -> AmazonS3Builder {
        self.0.iter().fold(builder, |builder, (key, value)| builder.with_config(*key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(text: &str) -> Result<Credentials, ObjectStoreError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        std::fs::write(&file, text).unwrap();
        Credentials::find(&Settings { s3_credentials_file: file, ..Settings::default() })
    }

    #[test]
    fn two_lines_will_do_and_the_aws_form_too() {
        for text in [
            "aws_access_key_id=ID\naws_secret_access_key=s3cr3t==\n",
            "# mine\n[other]\naws_access_key_id = NO\n[default]\nregion = x\naws_access_key_id = ID\n\
             aws_secret_access_key = s3cr3t==\naws_endpoint = http://elsewhere\n",
        ] {
            let builder = of_file(text).ok().unwrap().give(AmazonS3Builder::new());
            assert_eq!(builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).unwrap(), "ID");
            assert_eq!(builder.get_config_value(&AmazonS3ConfigKey::SecretAccessKey).unwrap(), "s3cr3t==");
            assert_eq!(builder.get_config_value(&AmazonS3ConfigKey::Endpoint), None);
        }
    }

    #[test]
    fn what_is_missing_is_told_without_what_is_there() {
        for text in ["", "aws_secret_access_key = s3cr3t", "[other]\naws_access_key_id=s3cr3t", "s3cr3t"] {
            let reported = of_file(text).err().unwrap().to_string();
            assert!(reported.starts_with("remote.s3_credentials_file: ") && !reported.contains("s3cr3t"), "{reported}");
        }
        let absent = Settings { s3_credentials_file: "/no/such".into(), ..Settings::default() };
        let reported = Credentials::find(&absent).err().unwrap().to_string();
        assert!(reported.contains("\"/no/such\" cannot be read"), "{reported}");
    }
}
