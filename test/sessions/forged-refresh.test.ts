import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import {
  firstToken,
  formatRefreshToken,
  parseRefreshToken,
  type RefreshToken,
} from '../../src/sessions/refresh-token.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`a made-up refresh token is refused and ends nothing, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    const eve = await service.signUp()
    const refresh = (refresh_token: string) =>
      service.send('POST', '/auth/refresh', { body: { refresh_token } })
    const genuine = parseRefreshToken(ada.refreshToken) as RefreshToken
    const eves = parseRefreshToken(eve.refreshToken) as RefreshToken

    const madeUp = {
      'of a known session id': formatRefreshToken(firstToken(ada.sessionId).token),
      'of a known session id and secret': formatRefreshToken({ ...genuine, seal: randomBytes(16) }),
      'of a known session id and seal': formatRefreshToken({ ...genuine, secret: randomBytes(32) }),
      'of an unknown session': formatRefreshToken({ ...genuine, sessionId: randomUUID() }),
      "of Ada's session with Eve's seal": formatRefreshToken({ ...genuine, seal: eves.seal }),
      "of Ada's session with Eve's secret and seal": formatRefreshToken({
        ...eves,
        sessionId: ada.sessionId,
      }),
      "of Eve's session with Ada's secret and seal": formatRefreshToken({
        ...genuine,
        sessionId: eve.sessionId,
      }),
      ...Object.fromEntries(
        Array.from({ length: 64 }, (_, index) => [
          `with byte ${index} altered`,
          altered(ada.refreshToken, index),
        ]),
      ),
      'that is truncated': ada.refreshToken.slice(0, -1),
      'that is too long': `${ada.refreshToken}AAAA`,
      'that is padded': `${ada.refreshToken}==`,
      'with a space': ` ${ada.refreshToken}`,
      'with another prefix': ada.refreshToken.replace('lkr_', 'LKR_'),
      'without its prefix': ada.refreshToken.slice(4),
      'in base64 where base64url is due': `lkr_${Buffer.from(ada.refreshToken.slice(4), 'base64url').toString('base64')}`,
      'with bits set that base64url leaves over': nonCanonical(ada.refreshToken),
      'that is an access token': ada.accessToken.slice(0, 256),
      'that is garbage': 'lkr_',
      'with a NUL': `${ada.refreshToken}\u0000`,
    }
    for (const [name, token] of Object.entries(madeUp)) {
      t.test(`one ${name}`, async (t) => isProblem(t, await refresh(token), 'refresh_token_invalid'))
    }

    for (const { accessToken, refreshToken } of [ada, eve]) {
      t.equal((await service.send('GET', '/me', { token: accessToken })).statusCode, 200)
      t.equal((await refresh(refreshToken)).statusCode, 200)
    }
    t.strictSame(service.events('refresh_reused'), [])
  })
}

function altered(token: string, index: number): string {
  const bytes = Buffer.from(token.slice(4), 'base64url')
  bytes.writeUInt8(bytes.readUInt8(index) ^ 1, index)
  return `lkr_${bytes.toString('base64url')}`
}

// The last of 86 characters carries two bits; the other four have to be zero.
function nonCanonical(token: string): string {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return token.slice(0, -1) + digits[digits.indexOf(token.at(-1) as string) + 1]
}
