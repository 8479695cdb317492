/** A certificate of 127.0.0.1 that signs itself, and its key: for tests of TLS, good until 2126, worth nothing elsewhere. */
import { createPrivateKey } from 'node:crypto';

export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUXCS/PzWIai4JdI8Z5ra0DoThaxcwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODA5NTgyMloYDzIxMjYxMTA0
MDk1ODIyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQtPPPY4GxlF8NwRsevs3Wj6fdU3JfPj+6ZMTz5CP3qUSoOADS3o9UE
eQOb+cn7sD4gvX2fnZoGbRfnFJHEtu3Wo28wbTAdBgNVHQ4EFgQU48UQFPdKVKPB
49Jww8Dhy3v2/UwwHwYDVR0jBBgwFoAU48UQFPdKVKPB49Jww8Dhy3v2/UwwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgHt7mwLzxaa7KbUDHvw1sSFtAucsuAUZG+OBAPu0f/WsCIC3+
gRJ5Z26bI6jr9T5/sFk/Uf9gCO1ANtnHNHgjckTq
-----END CERTIFICATE-----
`;

export const PRIVATE_KEY = createPrivateKey({
  format: 'jwk',
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'LTzz2OBsZRfDcEbHr7N1o-n3VNyXz4_umTE8-Qj96lE',
    y: 'Kg4ANLej1QR5A5v5yfuwPiC9fZ-dmgZtF-cUkcS27dY',
    d: 'ZakRqoB3GgKEmn9JZrDDrnoC_CWHtcS1P0ZbFeH_JBI',
  },
}).export({ format: 'pem', type: 'pkcs8' });
