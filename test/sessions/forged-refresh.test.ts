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
    const flipped = Buffer.from(genuine.family)
    flipped.writeUInt8(flipped.readUInt8(0) ^ 1)

    const madeUp = {
      'of a known session id': formatRefreshToken(firstToken(ada.sessionId)),
      'of a known session id and secret': formatRefreshToken({ ...genuine, family: randomBytes(16) }),
      'with one bit wrong in its family': formatRefreshToken({ ...genuine, family: flipped }),
      'of an unknown session': formatRefreshToken({ ...genuine, sessionId: randomUUID() }),
      "of Ada's session with Eve's family": formatRefreshToken({ ...genuine, family: eves.family }),
      "of Ada's session with Eve's family and secret": formatRefreshToken({
        ...eves,
        sessionId: ada.sessionId,
      }),
      "of Eve's session with Ada's family and secret": formatRefreshToken({
        ...genuine,
        sessionId: eve.sessionId,
      }),
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

// The last of 86 characters carries two bits; the other four have to be zero.
function nonCanonical(token: string): string {
  const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return token.slice(0, -1) + digits[digits.indexOf(token.at(-1) as string) + 1]
}
