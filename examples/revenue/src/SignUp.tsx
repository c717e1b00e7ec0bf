import { Door } from './Door.tsx'
import { Field, Send, useForm } from './form.tsx'
import { latchkey } from './latchkey.ts'

export function SignUp() {
  const { form, faults, isBusy } = useForm(async (fields) => {
    await latchkey.signUp(fields)
  })
  return (
    <Door title="Create an account" fault={faults['']}>
      <form {...form}>
        <Field label="Name" name="name" type="text" autoComplete="name" faults={faults} />
        <Field label="Email" name="email" type="email" autoComplete="username" faults={faults} />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="new-password"
          hint="At least 15 characters. A few words in a row are easy to keep in mind."
          faults={faults}
        />
        <Send isBusy={isBusy}>Create account</Send>
      </form>
      <p className="aside">
        Have an account? <a href="#sign-in">Sign in</a>
      </p>
    </Door>
  )
}
