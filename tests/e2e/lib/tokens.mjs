// Keys and signed tokens, by node's own crypto.
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'

const part = value => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

// { alg, kid, jwk, pem, token(claims, header) }; jwk and pem are what a balancer may know.
export function key (alg, kid) {
  const header = { alg, typ: 'JWT', ...(kid && { kid }) }
  if (alg === 'HS256') {
    const secret = 'a secret of this test, 32 bytes or more'
    return {
      alg, kid, secret,
      jwk: { kty: 'oct', alg, use: 'sig', ...(kid && { kid }), k: Buffer.from(secret).toString('base64url') },
      token (claims, more = {}) {
        const said = `${part({ ...header, ...more })}.${part(claims)}`
        return `${said}.${createHmac('sha256', secret).update(said).digest('base64url')}`
      }
    }
  }
  const { publicKey, privateKey } = alg === 'RS256'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    alg, kid, privateKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), alg, use: 'sig', ...(kid && { kid }) },
    pem: publicKey.export({ format: 'pem', type: 'spki' }),
    token (claims, more = {}) {
      const said = `${part({ ...header, ...more })}.${part(claims)}`
      return `${said}.${sign('sha256', Buffer.from(said), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
    }
  }
}

// HS256 with any text as its secret: what an attacker tries with a public key.
export function forged (secret, claims, header = {}) {
  const said = `${part({ alg: 'HS256', ...header })}.${part(claims)}`
  return `${said}.${createHmac('sha256', secret).update(said).digest('base64url')}`
}
export const unsigned = claims => `${part({ alg: 'none' })}.${part(claims)}.`
export const inSeconds = seconds => Math.floor(Date.now() / 1000) + seconds
