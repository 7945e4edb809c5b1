<?php

declare(strict_types=1);

namespace StandIn;

final class NotFound extends \RuntimeException
{
}
