"""The names that stand in signing certificates."""

#: Issuer of every token of the local instance. ``.invalid`` never resolves (RFC 6761, section 6.4),
#: so no real identity provider can ever speak under this name, and it does not change with the port.
LOCAL_ISSUER = "https://local.gatehouse.invalid"

#: Who signs locally: the subject alternative name (a URI) in the certificate.
LOCAL_IDENTITY = "https://local.gatehouse.invalid/developer"

#: Issuer of the tokens of GitHub Actions.
GITHUB_ISSUER = "https://token.actions.githubusercontent.com"

#: Prefix that Fulcio puts before the repository and workflow claims of GitHub's tokens.
GITHUB = "https://github.com/"

#: Issuer of the tokens that a machine of Google's cloud has, whoever works on it.
GOOGLE_ISSUER = "https://accounts.google.com"
