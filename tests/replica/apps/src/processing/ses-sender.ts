import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SendRawEmailCommand, SESClient } from '@aws-sdk/client-ses';
import { ConfigService } from '@nestjs/config';
import { Mail, MailRefused, MailSender } from './mail-sender.js';

const PAUSE_MS = 100;
const ATTEMPTS = 3;
const CONNECT_MS = 3000;
const ANSWER_MS = 5000;

/** Sends through Amazon SES, with the key and the region of config/.env. */
export class SesSender extends MailSender {
  private readonly client: SESClient;

  constructor(config: ConfigService) {
    super();
    this.client = new SESClient({
      region: config.getOrThrow<string>('AWS_REGION'),
      endpoint: config.get<string>('SES_ENDPOINT'),
      credentials: {
        accessKeyId: config.getOrThrow<string>('AWS_ACCESS_KEY'),
        secretAccessKey: config.getOrThrow<string>('AWS_SECRET_KEY'),
      },
      maxAttempts: ATTEMPTS,
      requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS, throwOnRequestTimeout: true },
    });
  }

  async send(mail: Mail): Promise<string> {
    const command = new SendRawEmailCommand({
      Source: mail.from,
      Destinations: [mail.to],
      RawMessage: { Data: await message(mail) },
    });
    try {
      const taken = await this.client.send(command);
      await pause(PAUSE_MS);
      return taken.MessageId ?? '';
    } catch (error) {
      const { name, message: said } = error as Error;
      throw new MailRefused(name, said);
    }
  }
}

/** The mail as RFC 5322 has it, with its attachment. */
async function message(mail: Mail): Promise<Buffer> {
  const boundary = `tank-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  const encoded = (text: string): string => `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`;
  const base64 = (data: Buffer): string => data.toString('base64').replace(/.{76}/g, '$&\r\n');
  const lines = [
    `From: ${mail.from}`,
    `To: ${mail.to.replace(/[\r\n]/g, ' ')}`,
    `Subject: ${encoded(mail.subject)}`,
    'MIME-Version: 1.0',
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    'Content-Type: text/html; charset=UTF-8',
    'Content-Transfer-Encoding: base64',
    '',
    base64(Buffer.from(mail.html)),
  ];
  if (mail.attachment) {
    lines.push(
      `--${boundary}`,
      'Content-Type: application/octet-stream',
      `Content-Disposition: attachment; filename="${basename(mail.attachment)}"`,
      'Content-Transfer-Encoding: base64',
      '',
      base64(await readFile(mail.attachment)),
    );
  }
  return Buffer.from([...lines, `--${boundary}--`, ''].join('\r\n'));
}
