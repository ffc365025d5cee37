"""Headers that every answer carries (OWASP Secure Headers Project; CSP Level 3)."""

#: No inline script or style anywhere, so no nonce is needed; scripts cannot write HTML either.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would send forms with "Origin: null", which the cross-origin check refuses.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

#: ``__Host-`` binds the cookie to this host over TLS; browsers treat loopback as secure, so it works there too.
XSRF_COOKIE = "__Host-xsrf"
XSRF_ATTRIBUTES = {"secure": True, "httponly": True, "samesite": "Strict", "path": "/"}
