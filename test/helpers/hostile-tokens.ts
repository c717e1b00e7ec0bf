import { createHmac, createPrivateKey, sign } from 'node:crypto'
import { kidOf } from '../../src/tokens/secrets.ts'
import { encode, goodClaims, goodHeader, handMade, SECRET_BYTES } from './hand-made-tokens.ts'

/** Why it is hostile, the token, and the code of the API's answer: token_invalid unless it is given. */
export type HostileToken = readonly [why: string, token: string, code?: 'token_expired' | 'invalid_request']

/** Every way we know in which a token can be wrong, and the good token that they are made from. */
export interface HostileTokens {
  readonly good: string
  readonly claims: ReturnType<typeof goodClaims>
  readonly table: readonly HostileToken[]
}

const otherSecret = Buffer.from('3f9a1c7e5b2d8f4061a7c3e9d5b1f802946a8c0e2d4f6b718395a7c9ebd0f213', 'hex')

// The key of RFC 7515 appendix A.2.1: the same in every run, and nobody's secret.
const rsa = createPrivateKey({
  format: 'jwk',
  key: {
    kty: 'RSA',
    n: 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
    e: 'AQAB',
    d: 'Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ',
    p: '4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc',
    q: 'uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc',
    dp: 'BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0',
    dq: 'h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU',
    qi: 'IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U',
  },
})

/**
 * @param now milliseconds since 1970 at which they are shown
 * @param claims what they say but for what is wrong with them
 */
export function hostileTokens(now: number, claims = goodClaims(now)): HostileTokens {
  const { iat } = claims
  const H = encode(goodHeader)
  const P = encode(claims)
  const good = handMade(goodHeader, claims)
  const [, , S] = good.split('.') as [string, string, string]

  /** The good token, but for what is named, and signed again with the real secret. */
  const header = (change: object) => handMade({ ...goodHeader, ...change }, claims)
  const payload = (change: object) => handMade(goodHeader, { ...claims, ...change })
  /** The same with the JSON texts themselves, where an object can't say it. */
  const headerText = (text: string | Buffer) => handMade(text, claims)
  const payloadText = (text: string | Buffer) => handMade(goodHeader, text)
  const headerJson = JSON.stringify(goodHeader)
  const claimsJson = JSON.stringify(claims)
  const without = (name: string) => payload({ [name]: undefined })
  const with1e400 = (name: string) =>
    payloadText(JSON.stringify({ ...claims, [name]: 0 }).replace(`"${name}":0`, `"${name}":1e400`))
  const signedAs = (alg: string, signature: (input: string) => string) => {
    const input = `${encode({ ...goodHeader, alg })}.${P}`
    return `${input}.${signature(input)}`
  }
  const hmac = (hash: string) => (input: string) =>
    createHmac(hash, SECRET_BYTES).update(input).digest('base64url')
  /** The same signature with one of its two left-over bits set: decoders that don't look read the same bytes. */
  const nonCanonical = () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    return `${H}.${P}.${S.slice(0, -1)}${alphabet[alphabet.indexOf(S.at(-1) as string) + 1]}`
  }
  /** A token whose signature has `-` or `_`, written in the alphabet of standard base64. */
  const standardAlphabet = () => {
    for (let n = 0; ; n++) {
      const [h, p, s] = payload({ jti: `jti-${n}` }).split('.') as [string, string, string]
      if (/[-_]/.test(s)) return `${h}.${p}.${s.replaceAll('-', '+').replaceAll('_', '/')}`
    }
  }

  const table: HostileToken[] = [
    // The algorithm (RFC 8725 sections 2.1 and 3.1).
    ['alg none, no signature', `${encode({ ...goodHeader, alg: 'none' })}.${P}.`],
    ['alg none, with the HMAC of the real secret', header({ alg: 'none' })],
    ['alg None', `${encode({ ...goodHeader, alg: 'None' })}.${P}.`],
    ['alg HS384, truly so signed', signedAs('HS384', hmac('sha384'))],
    ['alg HS512, truly so signed', signedAs('HS512', hmac('sha512'))],
    ['alg HS512, signed as HS256', header({ alg: 'HS512' })],
    ['alg HS256, signed with SHA-512', handMade(goodHeader, claims, SECRET_BYTES, 'sha512')],
    [
      'alg RS256, signed with an RSA key',
      signedAs('RS256', (i) => sign('sha256', Buffer.from(i), rsa).toString('base64url')),
    ],
    ['alg in lower case', header({ alg: 'hs256' })],
    ['alg missing', header({ alg: undefined })],
    ['alg an array', header({ alg: ['HS256'] })],
    ['alg null', header({ alg: null })],
    // The type (RFC 8725 section 3.11).
    ['typ missing', header({ typ: undefined })],
    ['typ JWT', header({ typ: 'JWT' })],
    ['typ in another case', header({ typ: 'AT+JWT' })],
    ['typ with its long name', header({ typ: 'application/at+jwt' })],
    ['typ null', header({ typ: null })],
    // What a header may say besides (RFC 7515 section 4.1).
    ['crit null', header({ crit: null })],
    ['crit empty', header({ crit: [] })],
    ['crit with an unknown name', header({ crit: ['exp'], exp: 1 })],
    ['b64 false', header({ b64: false })],
    ['b64 false, named in crit', header({ b64: false, crit: ['b64'] })],
    ['zip', header({ zip: 'DEF' })],
    ['a jwk of its own', header({ jwk: { kty: 'oct', k: SECRET_BYTES.toString('base64url') } })],
    ['jku', header({ jku: 'https://evil.example/keys' })],
    ['x5u', header({ x5u: 'https://evil.example/cert' })],
    ['x5c', header({ x5c: ['MIIB'] })],
    ['cty JWT: a token in a token', header({ cty: 'JWT' })],
    ['a header key nobody knows', header({ foo: 'bar' })],
    ['__proto__ in the header', headerText(headerJson.replace('{', '{"__proto__":{"admin":true},'))],
    [
      'alg and typ inherited from __proto__',
      headerText(
        JSON.stringify({ kid: goodHeader.kid, a: 1 }).replace(
          '"a":1',
          '"__proto__":{"alg":"HS256","typ":"at+jwt"}',
        ),
      ),
    ],
    // The key.
    ['kid missing', header({ kid: undefined })],
    ['kid missing, another key in its place', header({ kid: undefined, key: goodHeader.kid })],
    ['kid a path', header({ kid: '../../../../dev/null' })],
    ['kid with SQL', header({ kid: "' union select 'x" })],
    ['kid a number', header({ kid: 0 })],
    ['kid an array with the right one', header({ kid: [goodHeader.kid] })],
    ['kid null', header({ kid: null })],
    ['kid empty', header({ kid: '' })],
    ['kid unknown', header({ kid: 'AAAAAAAAAAAAAAAA' })],
    ['kid __proto__', header({ kid: '__proto__' })],
    ['kid of another secret, signed with this one', header({ kid: kidOf(otherSecret) })],
    [
      'kid and signature of another secret',
      handMade({ ...goodHeader, kid: kidOf(otherSecret) }, claims, otherSecret),
    ],
    ['the right kid, signature of another secret', handMade(goodHeader, claims, otherSecret)],
    ['signed with an empty secret', handMade(goodHeader, claims, Buffer.alloc(0))],
    [
      "signed with the secret's text",
      handMade(goodHeader, claims, Buffer.from(SECRET_BYTES.toString('base64'))),
    ],
    // The parts are JSON objects in UTF-8, each name once (RFC 8725 section 2.4, RFC 7519 section 4).
    ['header an array', headerText('["HS256","at+jwt"]')],
    ['header a string', headerText('"HS256"')],
    ['header null', headerText('null')],
    ['header not JSON', headerText('{alg:HS256}')],
    ['header with a comma too many', headerText(headerJson.replace('}', ',}'))],
    ['header with a byte order mark', headerText(`\uFEFF${headerJson}`)],
    ['header in UTF-16', headerText(Buffer.from(headerJson, 'utf16le'))],
    ['alg twice in the header', headerText(headerJson.replace('{', '{"alg":"none",'))],
    ['kid twice in the header, once escaped', headerText(headerJson.replace('{', '{"\\u006bid":"x",'))],
    ['payload an array', payloadText(JSON.stringify([claims]))],
    ['payload a string', payloadText(JSON.stringify(claimsJson))],
    ['payload null', payloadText('null')],
    ['payload a number', payloadText('1')],
    ['payload true', payloadText('true')],
    ['payload not JSON', payloadText(claimsJson.slice(0, -1))],
    ['payload with a rest after it', payloadText(`${claimsJson}{}`)],
    [
      'payload with a byte that is no UTF-8',
      payloadText(
        Buffer.concat([Buffer.from('{"x":"'), Buffer.from([0xff]), Buffer.from(`",${claimsJson.slice(1)}`)]),
      ),
    ],
    ['sub twice', payloadText(claimsJson.replace('{', '{"sub":"admin",'))],
    ['sub twice, once escaped', payloadText(claimsJson.replace('{', '{"\\u0073ub":"admin",'))],
    ['exp twice, the same', payloadText(claimsJson.replace('{', `{"exp":${claims.exp},`))],
    ['a name twice in a nested object', payloadText(claimsJson.replace('{', '{"x":{"y":1,"y":2},'))],
    [
      'a name twice in an object in an array',
      payloadText(claimsJson.replace('{', '{"x":[{"y":1,"\\u0079":2}],')),
    ],
    [
      'a name twice, beside a string that holds quotes and colons',
      payloadText(claimsJson.replace('{', '{"x":"\\":\\"","x":"a:b",')),
    ],
    // Times (RFC 7519 sections 4.1.4 to 4.1.6).
    ['exp missing', without('exp')],
    ['exp a string', payload({ exp: String(claims.exp) })],
    ['exp null', payload({ exp: null })],
    ['exp 1e400', with1e400('exp')],
    ['exp beyond the safe integers', payload({ exp: 2 ** 53 })],
    ['exp a float', payload({ exp: claims.exp + 0.5 })],
    ['exp negative', payload({ exp: -1 })],
    ['exp and iat negative', payload({ iat: -600, exp: -1 }), 'token_expired'],
    ['exp past', payload({ iat: iat - 700, exp: iat - 100 }), 'token_expired'],
    ['exp past by just the leeway', payload({ iat: iat - 600, exp: iat - 5 }), 'token_expired'],
    ['exp before iat', payload({ exp: iat - 1 })],
    ['exp at iat', payload({ exp: iat })],
    ['a life a second longer than an hour', payload({ exp: iat + 3_601 })],
    ['a life of ten years', payload({ exp: iat + 10 * 365 * 86_400 })],
    ['iat missing', without('iat')],
    ['iat in the future', payload({ iat: iat + 60, exp: iat + 660 })],
    ['iat a string', payload({ iat: String(iat) })],
    ['iat a float', payload({ iat: iat - 0.5 })],
    ['iat 1e400', with1e400('iat')],
    ['iat zero: an hour no longer holds', payload({ iat: 0 })],
    ['nbf in the future', payload({ nbf: iat + 60 })],
    ['nbf a string', payload({ nbf: String(iat) })],
    ['nbf null', payload({ nbf: null })],
    ['nbf 1e400', with1e400('nbf')],
    // From whom and for whom.
    ['iss missing', without('iss')],
    ['iss of another', payload({ iss: 'http://localhost:3001' })],
    ['iss with a slash more', payload({ iss: `${claims.iss}/` })],
    ['iss an array with the right one', payload({ iss: [claims.iss] })],
    ['aud missing', without('aud')],
    ['aud of another', payload({ aud: 'otherservice' })],
    ['aud in another case', payload({ aud: 'Latchkey' })],
    ['aud an array with the right one', payload({ aud: [claims.aud] })],
    ['aud null', payload({ aud: null })],
    // About whom.
    ...['sub', 'sid', 'jti'].flatMap((name): HostileToken[] => [
      [`${name} missing`, without(name)],
      [`${name} empty`, payload({ [name]: '' })],
      [`${name} a number`, payload({ [name]: 7 })],
      [`${name} an object`, payload({ [name]: {} })],
      [`${name} null`, payload({ [name]: null })],
    ]),
    ['roles missing', without('roles')],
    ['roles a string', payload({ roles: 'admin' })],
    ['roles an object', payload({ roles: { 0: 'admin', length: 1 } })],
    ['roles of numbers', payload({ roles: [1] })],
    ['roles with an empty one', payload({ roles: ['user', ''] })],
    ['roles nested', payload({ roles: [['admin']] })],
    ['scope missing', without('scope')],
    ['scope an array', payload({ scope: ['account'] })],
    ['scope null', payload({ scope: null })],
    // The signature (RFC 7515 section 5.2), in its one spelling (RFC 4648 section 3.5).
    ['signature truncated by a character', good.slice(0, -1)],
    ['signature truncated by a whole group', good.slice(0, -4)],
    ['signature empty', `${H}.${P}.`],
    ['signature of the payload alone', `${H}.${P}.${hmac('sha256')(P)}`],
    ['signature with left-over bits set', nonCanonical()],
    ['signature with a character more', `${good}A`],
    ['= appended', `${good}=`],
    ['%20 appended', `${good}%20`],
    ['= in the header', `${H}=.${P}.${S}`],
    ['the alphabet of standard base64', standardAlphabet()],
    ['payload of another token', `${H}.${encode({ ...claims, roles: ['admin'] })}.${S}`],
    // Its shape.
    ['four parts', `${good}.${S}`],
    ['two parts', `${H}.${P}`],
    ['one part', H],
    ['three empty parts', '..'],
    ['a dot', '.'],
    ['header empty', `.${P}.${S}`],
    ['payload empty', `${H}..${S}`],
    ['payload empty and so signed', `${H}..${hmac('sha256')(`${H}.`)}`],
    ['JWE: five parts', `${encode({ alg: 'dir', enc: 'A128GCM' })}..${S}.${P}.${S}`],
    ['JWS as JSON', JSON.stringify({ protected: H, payload: P, signature: S }).replaceAll(',', '')],
    ['3 KiB, else good', payload({ x: 'x'.repeat(2_000) })],
    ['a quote before it', `"${good}"`],
    ['unicode', 'tökén.😀.x'],
    ['unicode that looks like base64url', good.replace('e', 'е')],
    ['NUL', 'a\0b.c.d'],
    ['NUL after it', `${good}\0`],
    ['junk of 8 KiB', 'a'.repeat(8_192)],
    ['8 KiB of dots', '.'.repeat(8_192)],
    ['a refresh token', 'lkr_AZorPE1eX2CK'],
    // What is no Authorization header at all (RFC 6750 section 3.1).
    ['two tokens, a comma between', `${good},${good}`, 'invalid_request'],
    ['two tokens, a space between', `${good} ${good}`, 'invalid_request'],
    ['a parameter after it', `${good}; x=y`, 'invalid_request'],
    ['a tab in it', `${H}\t.${P}.${S}`, 'invalid_request'],
    ['nothing', '', 'invalid_request'],
  ]

  return { good, claims, table }
}
