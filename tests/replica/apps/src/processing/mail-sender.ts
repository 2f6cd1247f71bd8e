import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';

export interface Mail {
  from: string;
  to: string;
  subject: string;
  html: string;
  attachment: string | null;
}

/** What takes the mails; gives the id under which they were taken. */
export abstract class MailSender {
  abstract send(mail: Mail): Promise<string>;
}

/** A mail was refused; `type` is SES's name for the reason. */
export class MailRefused extends Error {
  constructor(readonly type: string, message: string) {
    super(message);
  }
}

const ADDRESS = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

/** Sends nothing: takes every well-formed address, so that the only trace of a mail is its row in EMAIL_SEND_LOG. */
@Injectable()
export class SendLogOnlySender extends MailSender {
  async send(mail: Mail): Promise<string> {
    if (!ADDRESS.test(mail.to)) {
      throw new MailRefused('InvalidParameter', 'Invalid address');
    }
    return `local-${randomUUID()}`;
  }
}
