import type { SignedOutReason } from 'latchkey/client'
import { Door } from './Door.tsx'
import { Field, Send, useForm } from './form.tsx'
import { latchkey } from './latchkey.ts'
import { reasons } from './words.ts'

/** @param reason why somebody who was signed in no longer is */
export function SignIn({ reason }: { readonly reason: SignedOutReason | undefined }) {
  const { form, faults, isBusy } = useForm(({ email, password }) => latchkey.logIn({ email, password }))
  const isAsked = reason === 'log_out' || reason === 'other_tab'
  return (
    <Door title="Sign in" fault={faults['']}>
      {reason && !faults[''] && (
        <p role={isAsked ? 'status' : 'alert'} className={isAsked ? 'notice' : 'notice bad'}>
          {reasons[reason]}
        </p>
      )}
      <form {...form}>
        <Field label="Email" name="email" type="email" autoComplete="username" faults={faults} />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          faults={faults}
        />
        <Send isBusy={isBusy}>Sign in</Send>
      </form>
      <p className="aside">
        New here? <a href="#sign-up">Create an account</a>
      </p>
    </Door>
  )
}
