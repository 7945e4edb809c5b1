<?php

declare(strict_types=1);

namespace StandIn;

use Throwable;

/** The commands of artisan that a release needs, with their exit codes. */
final class Console
{
    /** @param list<string> $arguments */
    public function run(array $arguments): int
    {
        $command = array_shift($arguments) ?? 'list';
        try {
            return match ($command) {
                'event-sourcing:replay' => $this->replay($arguments),
                'migrate:data' => $this->migrate(Database::data(), 'data'),
                'migrate:events' => $this->migrate(Database::events(), 'events'),
                'migrate:all' => max($this->migrate(Database::events(), 'events'), $this->migrate(Database::data(), 'data')),
                'wait:database' => $this->await(),
                'healthcheck' => $this->check(),
                'horizon' => $this->work(),
                'tinker' => $this->tinker($arguments),
                default => $this->say("Command \"$command\" is not defined.", 1),
            };
        } catch (Throwable $e) {
            fwrite(STDERR, "\n  " . get_class($e) . "\n\n  " . $e->getMessage() . "\n");
            return 1;
        }
    }

    /** @param list<string> $arguments */
    private function replay(array $arguments): int
    {
        $from = 0;
        foreach ($arguments as $argument) {
            if (str_starts_with($argument, '--from=')) {
                $from = (int) substr($argument, strlen('--from='));
            }
        }
        $replayed = Projectionist::replay($from);
        return $this->say($replayed === 0 ? 'There are no events to replay' : 'All done!', 0);
    }

    private function migrate(Database $database, string $side): int
    {
        $database->script('create table if not exists migrations (id serial primary key, migration varchar(255) not null, batch integer not null)');
        foreach (glob(dirname(__DIR__) . "/database/$side/*.sql") ?: [] as $file) {
            $name = basename($file, '.sql');
            $since = explode('_', $name)[0];
            if (version_compare(Environment::version(), $since, '<') || $database->first('select 1 from migrations where migration = ?', [$name]) !== null) {
                continue;
            }
            $database->script((string) file_get_contents($file));
            $database->run('insert into migrations (migration, batch) values (?, 1)', [$name]);
            echo "$name DONE\n";
        }
        return 0;
    }

    private function await(): int
    {
        for ($try = 1; ; $try++) {
            try {
                Database::forget();
                Database::events()->first('select 1');
                Database::data()->first('select 1');
                return 0;
            } catch (Throwable $e) {
                if ($try === 20) {
                    throw $e;
                }
                sleep(1);
            }
        }
    }

    private function check(): int
    {
        Database::data()->first('select count(*) from "reciters"');
        return $this->say('OK', 0);
    }

    /** One worker for the queue of events. It ends its job before it ends itself. */
    private function work(): int
    {
        $ending = false;
        pcntl_async_signals(true);
        foreach ([SIGTERM, SIGINT] as $signal) {
            pcntl_signal($signal, static function () use (&$ending): void {
                $ending = true;
            });
        }
        while (!$ending) {
            if (!Queue::work('events')) {
                usleep(50_000);
            }
        }
        return 0;
    }

    /** @param list<string> $arguments */
    private function tinker(array $arguments): int
    {
        foreach ($arguments as $argument) {
            if (str_starts_with($argument, '--execute=')) {
                class_alias(Queue::class, 'Queue');
                eval(substr($argument, strlen('--execute=')));
            }
        }
        return 0;
    }

    private function say(string $line, int $code): int
    {
        fwrite($code === 0 ? STDOUT : STDERR, $line . "\n");
        return $code;
    }
}
