import { Problem } from '../problem.ts'
import type { Passwords } from './passwords.ts'

const ATTEMPTS = 3

/**
 * Lets somebody act on an account by its password. Hashing is slow and holds no lock, so the password may be changed
 * while it runs: `act` must therefore be conditional on the hash it is given and return undefined where that has
 * changed, and then everything is looked at again.
 *
 * @param find reads the account, or undefined where there is none
 * @param act does the work, on the condition that the account still has that hash
 * @param onRefused is told that the password wasn't proved, and of which account if there is one
 * @returns what `act` returns
 * @throws Problem invalid_credentials, after the same work whether or not there is an account; overloaded
 */
export async function withPassword<Account extends { readonly passwordHash: string }, Result>(
  passwords: Passwords,
  password: string,
  find: () => Promise<Account | undefined>,
  act: (account: Account) => Promise<Result | undefined>,
  onRefused: (account: Account | undefined) => Promise<void>,
): Promise<Result> {
  let account: Account | undefined
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    account = await find()
    const matches = await passwords.verify(account?.passwordHash, password)
    if (account === undefined || !matches) break
    const result = await act(account)
    if (result !== undefined) return result
  }
  await onRefused(account)
  throw new Problem('invalid_credentials')
}
